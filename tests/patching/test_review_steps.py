"""What the runbook itself must do so that a moment's failure decides nothing."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from tests.patching.stage import Stage


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


@pytest.mark.parametrize("call", ["checkpoint", "judge"])
def test_a_function_that_fails_for_a_moment_decides_nothing(stage: Stage, call: str) -> None:
    """Three tries without a pause are over within a second, and throttling is not."""
    stage.node.scenario = "breaks-service"
    stage.failing_calls[call] = 7

    run = stage.run()

    assert run.outputs["Report.Outcome"] == "ROLLED_BACK", run.outputs["Report.Reason"]


def test_an_unhealthy_node_ends_the_run_at_once_even_if_the_answer_was_lost(stage: Stage) -> None:
    stage.node.unhealthy_before = True
    answer, began = stage.patching.answer, stage.clock.now()

    def losing(event: dict[str, object], countdown: object) -> dict[str, object]:
        told = answer(event, countdown)  # type: ignore[arg-type]
        if event["call"] == "checkpoint":
            stage.failing_calls["checkpoint"] = 9
            raise AssertionError("its answer got lost")
        return told

    stage.patching.answer = losing  # type: ignore[method-assign,assignment]

    run = stage.run()

    assert "not healthy before" in str(run.outputs["Report.Reason"])
    assert (stage.clock.now() - began).total_seconds() < 120


def test_a_patch_command_under_way_is_called_back_before_the_vm_is_put_back(stage: Stage) -> None:
    """It would reach the restored node, and patch it without a checkpoint."""
    stage.node.scenario = "agent-dies"
    execution = stage.start(RollbackOn="BadOrUnknown")
    stage.finish(execution, until=lambda: "virtualMachines/powerOff/action" in dict(stage.azure.calls))

    install = next(sent.id for sent in stage.node.commands.values() if sent.comment == f"moorings {execution} install")
    assert stage.node.cancelled == [install]
    stage.finish(execution)


def test_a_patch_command_that_went_well_is_not_called_back(stage: Stage) -> None:
    stage.run()

    assert not stage.node.cancelled


def test_a_long_pause_between_looks_keeps_no_vm_down(stage: Stage) -> None:
    stage.node.scenario = "breaks-service"
    down: list[datetime] = []
    execution = stage.start(SleepDuration="PT15M")

    def watched() -> bool:
        if stage.azure.vms[stage.vm.key].power != "running":
            down.append(stage.clock.now())
        return False

    run = stage.finish(execution, until=watched)

    assert run.outputs["Report.Outcome"] == "ROLLED_BACK"
    assert down[-1] - down[0] < timedelta(minutes=5)
