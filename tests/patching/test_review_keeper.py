"""What must not keep the keeper from a VM that is down."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.patching.stage import Stage

from moorings.patching.model import RESTORE_TIME, Phase, Restore, Run
from moorings.patching.outside import Deadline
from moorings.patching.ports import AzureRefused, Overtaken


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


def interrupted(stage: Stage) -> str:
    """A run that was cancelled while its VM is down."""
    stage.node.scenario = "breaks-service"
    execution = stage.start()
    stage.finish(execution, until=lambda: stage.azure.vms[stage.vm.key].power != "running")
    stage.engine.stop(execution)
    stage.finish(execution)
    return execution


def test_a_record_that_cannot_be_read_holds_up_no_other(stage: Stage) -> None:
    execution = interrupted(stage)
    broken = "00000000-0000-4000-8000-000000000000"
    load, due = stage.table.load, stage.table.due

    def loading(one: str) -> Run | None:
        if one == broken:
            raise KeyError("a member that nobody knows")
        return load(one)

    stage.table.load = loading  # type: ignore[assignment,method-assign]
    stage.table.due = lambda now, limit: [broken, *due(now, limit=limit)]  # type: ignore[method-assign,misc]
    for _ in range(15):
        with pytest.raises(KeyError):  # Lambda must show it as an error
            stage.keep()

    assert stage.azure.vms[stage.vm.key].power == "running"
    assert stage.record(execution).phase is Phase.OVER
    # Whoever reads the log at night learns which run it is: the trace alone does not say.
    assert ("upkeep_failed", broken) in {(event, facts.get("execution")) for event, facts in stage.notebook.records}


def test_a_restore_that_azure_refuses_for_a_day_is_concluded_with_what_to_do(stage: Stage) -> None:
    execution = interrupted(stage)
    no = AzureRefused(status=403, code="AuthorizationFailed", message="the role was taken away")
    stage.azure.refusing["virtualMachines/read"] = [no] * 9999
    stage.azure.refusing["operations/read"] = [no] * 9999

    stage.keep(600, every=timedelta(minutes=3))

    run = stage.record(execution)
    assert run.phase is Phase.OVER
    assert run.conclusion is not None
    assert run.conclusion.remedy == f"az vm start --ids {stage.vm.id}"


def test_a_monitor_that_may_not_be_read_does_not_stop_a_restore(stage: Stage) -> None:
    stage.node.scenario = "breaks-service"
    no = AzureRefused(status=403, code="AuthorizationFailed", message="operations are read at the subscription")
    stage.azure.refusing["operations/read"] = [no] * 9999

    assert stage.run().outputs["Report.Outcome"] == "ROLLED_BACK"


def test_a_report_that_lost_the_race_against_a_restore_leaves_it_the_guard(stage: Stage) -> None:
    """Cancelled between a verdict and the restore's first move: whoever saved first goes on."""
    stage.node.scenario = "breaks-service"
    execution = stage.start()
    stage.failing_calls["restore"] = 3
    stage.finish(execution, until=lambda: "restore" in stage.seen_calls)
    assert stage.record(execution).phase is Phase.JUDGED
    stage.ended.add(execution)
    save = stage.table.save

    def late(run: Run) -> Run:
        stage.table.save = save  # type: ignore[method-assign]
        there = stage.record(execution)
        state: dict[str, Any] = {"phase": Phase.RESTORING, "restore": _fresh(stage)}
        save(replace(there, look_at=stage.outside.clock.now(), **state))
        raise Overtaken("somebody else")

    stage.table.save = late  # type: ignore[method-assign]
    stage.patching.answer(
        {"call": "report", "execution": execution, "node": stage.record(execution).node},
        Deadline(stage.outside.clock, timedelta(seconds=20)),
    )
    stage.keep(30)

    run = stage.record(execution)
    assert run.conclusion is not None
    assert run.conclusion.outcome.value == "ROLLED_BACK"


def _fresh(stage: Stage) -> Restore:
    now = stage.outside.clock.now()
    return Restore(began_at=now, deadline=now + RESTORE_TIME)


def test_leftovers_that_azure_shows_to_nobody_any_more_are_asked_for_ever_more_seldom(stage: Stage) -> None:
    """The subscription was given away, and the role with it: that is no reason to wake somebody every night."""
    stage.node.scenario = "breaks-service"
    execution = stage.start(KeepFailedDiskHours=1)
    stage.finish(execution)
    no = AzureRefused(status=403, code="AuthorizationFailed", message="the role was taken away")
    stage.azure.refusing["disks/read"] = [no] * 9999
    stage.azure.refusing["snapshots/read"] = [no] * 9999

    stage.keep(7 * 24 * 4, every=timedelta(minutes=15))

    failures = stage.notebook.metrics.count("UpkeepFailed")
    assert 10 < failures < 60
    assert stage.record(execution).leftovers
    stage.azure.refusing.clear()
    stage.keep(30, every=timedelta(hours=1))
    assert not stage.record(execution).leftovers
