"""What a person may remove who names the execution: what the rule lets, through the keeper's own hands."""

from collections.abc import Iterator

import pytest
from tests.patching.stage import Stage

from moorings.errors import Conflict
from moorings.patching.deleting import Deleter


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


def undecided(stage: Stage) -> str:
    """A run whose checkpoint only a person removes."""
    stage.node.scan_reports = False
    execution = stage.start()
    stage.finish(execution)
    stage.keep(30)
    assert len(stage.azure.snapshots) == 1
    return execution


def test_a_rehearsal_says_what_would_go_and_touches_nothing(stage: Stage) -> None:
    execution = undecided(stage)
    before = stage.table.bodies[execution]

    deleted, kept = stage.upkeep.collect(execution, deleter=Deleter.PERSON, rehearse=True)

    assert [one.lower() for one in deleted] == list(stage.azure.snapshots)
    assert not kept
    assert stage.table.bodies[execution] == before


def test_what_a_person_removes_is_gone_and_the_record_knows_it(stage: Stage) -> None:
    execution = undecided(stage)

    deleted, _ = stage.upkeep.collect(execution, deleter=Deleter.PERSON)
    stage.keep(6)

    assert len(deleted) == 1
    assert not stage.azure.snapshots
    assert stage.record(execution).leftovers == ()


def test_a_run_that_goes_on_keeps_everything(stage: Stage) -> None:
    execution = stage.start()
    stage.finish(execution, until=lambda: bool(stage.azure.snapshots))

    deleted, kept = stage.upkeep.collect(execution, deleter=Deleter.PERSON)

    assert not deleted
    assert all("not over" in why for why in kept)
    assert kept


def test_the_vms_former_disk_stays_until_its_expiry(stage: Stage) -> None:
    stage.node.scenario = "breaks-service"
    execution = stage.start()
    stage.finish(execution)

    _, kept = stage.upkeep.collect(execution, deleter=Deleter.PERSON)

    assert any("former disk" in why for why in kept)


def test_an_execution_without_a_record_is_a_conflict(stage: Stage) -> None:
    with pytest.raises(Conflict, match="no record"):
        stage.upkeep.collect("00000000-0000-0000-0000-000000000000", deleter=Deleter.PERSON)
