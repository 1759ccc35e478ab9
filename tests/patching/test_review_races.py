"""Two that do the same at once, and a world that changes between two looks."""

from collections.abc import Iterator
from datetime import datetime

import pytest
from tests.patching.stage import Stage

from moorings.patching.model import Guard, VmRef

OTHER = "99999999-2222-4333-8444-555555555555"


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


@pytest.mark.parametrize("moment", ["before", "meanwhile"])
def test_two_tries_of_one_describe_share_the_guard(stage: Stage, moment: str) -> None:
    """The step was cut off and tried again while its first function still ran: the run must not shut itself out."""
    take = stage.table.take

    def twice(vm: VmRef, *, owner: str, until: datetime, seen: Guard | None) -> Guard | None:
        stage.table.take = take  # type: ignore[method-assign]
        first = take(vm, owner=owner, until=until, seen=seen)
        if moment == "before":
            raise RuntimeError("cut off")
        assert first is not None
        return take(vm, owner=owner, until=until, seen=seen)  # the second try had looked before that

    stage.table.take = twice  # type: ignore[method-assign]

    run = stage.run()

    assert run.outputs["Report.Outcome"] == "PATCHED", run.outputs["Report.Reason"]
    assert stage.table.guards[stage.vm.key].owner == ""


@pytest.mark.parametrize(("owner", "remedy"), [(OTHER, f"moorings patch status {OTHER}"), ("", "start it again")])
def test_who_lost_the_guard_at_the_last_moment_is_told_what_to_do(stage: Stage, owner: str, remedy: str) -> None:
    def lost(vm: VmRef, **_: object) -> None:
        """Somebody else took it between the look and the write; and perhaps is done with it already."""
        stage.table.guards[vm.key] = Guard(vm=vm.key, owner=owner, fence=1, until=stage.clock.now())

    stage.table.take = lost  # type: ignore[method-assign]

    run = stage.run()

    assert run.outputs["Report.Outcome"] == "UNCHANGED"
    assert "another run" in str(run.outputs["Report.Reason"])
    assert remedy in str(run.outputs["Report.Remedy"])


def recreated(stage: Stage) -> None:
    """The VM is deleted and made again under its name, with the same disk."""
    stage.azure.vms[stage.vm.key].wire["properties"]["vmId"] = "99999999-bbbb-cccc-dddd-eeeeeeeeeeee"


def test_a_vm_that_was_made_anew_before_its_checkpoint_is_not_patched(stage: Stage) -> None:
    execution = stage.start()
    stage.finish(execution, until=lambda: "describe" in stage.seen_calls)
    recreated(stage)

    run = stage.finish(execution)

    assert run.outputs["Report.Outcome"] == "UNCHANGED"
    assert "gone" in str(run.outputs["Report.Reason"])
    assert not stage.node.installs


def test_a_vm_that_was_made_anew_is_not_put_back(stage: Stage) -> None:
    stage.node.scenario = "breaks-service"
    execution = stage.start()
    stage.finish(execution, until=lambda: "evidence" in stage.seen_calls)
    recreated(stage)

    run = stage.finish(execution)

    assert run.outputs["Report.Outcome"] == "ROLLBACK_FAILED"
    assert "the VM is gone" in str(run.outputs["Report.Reason"])
    assert "powerOff/action" not in str(stage.azure.calls)
