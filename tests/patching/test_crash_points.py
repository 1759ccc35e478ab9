"""The function and the keeper stopped at every call to a cloud, on every path; and the run cancelled at every moment.

Exhaustive by counting: it happens at the n-th sight of a call, for n = 1, 2, … until a run comes through untouched.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from tests.patching.inline import SwiftStage
from tests.patching.worldview import Tripwire, World

from moorings.patching.model import Outcome
from moorings.patching.ports import AzureRefused

# Thousands of runs: what they cover, the tests of single paths cover too, and tracing would cost minutes.
exhaustive = pytest.mark.no_cover
MOST_EARLY_END = 20  # calls on the shortest path
BRISK = {"SleepDuration": "PT60S"}
# Rounds of a loop whose function never answers: all are alike, and the loops of a run together outlast the guard.
HOPELESS = 40
ONE_PAUSE = timedelta(seconds=15)  # so that each operation of Azure is seen under way, and once more


@dataclass(frozen=True)
class Path:
    """A way through the runbook."""

    outcome: Outcome
    prepare: Callable[[SwiftStage], None] = lambda _stage: None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    data: tuple[int, ...] = ()
    cancel_when: Callable[[SwiftStage], bool] | None = None


def _scenario(name: str) -> Callable[[SwiftStage], None]:
    return lambda stage: setattr(stage.node, "scenario", name)


def _update_fails_once(stage: SwiftStage) -> None:
    stage.node.scenario = "breaks-service"
    stage.azure.failing["virtualMachines/write"] = [("InternalExecutionError", "try again")]


def _restore_impossible(stage: SwiftStage) -> None:
    stage.node.scenario = "breaks-service"
    no = AzureRefused(status=400, code="InvalidParameter", message="no")
    stage.azure.refusing["virtualMachines/write"] = [no] * 99


def _stuck(stage: SwiftStage) -> None:
    stage.azure.failing_snapshots = True


def _delete_fails_later(stage: SwiftStage) -> None:
    stage.azure.failing["snapshots/delete"] = [("InternalError", "later")]


def _power(stage: SwiftStage) -> str:
    return stage.azure.vms[stage.vm.key].power


DATA = {"SnapshotDataDisks": True, "RestoreDataDisks": True}
PATHS: Mapping[str, Path] = {
    "patched": Path(Outcome.PATCHED),
    "patched-delete-fails-later": Path(Outcome.PATCHED, _delete_fails_later),
    "patched-kept-a-day": Path(Outcome.PATCHED, parameters={"KeepSnapshotHours": 24}),
    "compliant": Path(Outcome.UNCHANGED, lambda stage: stage.node.disk.update(missing=0)),
    "no-checkpoint": Path(Outcome.UNCHANGED, _stuck),
    "dry-run": Path(Outcome.UNCHANGED, parameters={"DryRun": True}),
    "unhealthy-before": Path(Outcome.UNCHANGED, lambda stage: setattr(stage.node, "unhealthy_before", True)),
    "rolled-back": Path(Outcome.ROLLED_BACK, _scenario("breaks-service")),
    "does-not-boot": Path(Outcome.ROLLED_BACK, _scenario("no-boot"), {"NodeBootTime": "PT3M"}),
    "update-fails-once": Path(Outcome.ROLLED_BACK, _update_fails_once),
    "restore-impossible": Path(Outcome.ROLLBACK_FAILED, _restore_impossible),
    "data-disks": Path(Outcome.ROLLED_BACK, _scenario("breaks-service"), DATA, data=(3,)),
    "cancelled": Path(
        Outcome.ROLLED_BACK, _scenario("breaks-service"), cancel_when=lambda stage: _power(stage) != "running"
    ),
    "cancelled-while-patching": Path(Outcome.UNDECIDED, cancel_when=lambda stage: "installed" in stage.node.disk),
    "undecided": Path(Outcome.UNDECIDED, lambda stage: setattr(stage.node, "scan_reports", False)),
}


def _world(path: Path, wire: Tripwire) -> World:
    stage = SwiftStage(data=path.data)
    stage.node.patch_time = timedelta(seconds=50)
    stage.azure.operation_time = ONE_PAUSE
    if wire.how == "dead":
        stage.rounds = HOPELESS
    path.prepare(stage)
    return World(stage, wire)


def _walk(path: Path, wire: Tripwire, *, cancel_after: int = 0) -> World:
    """One run to its end, cancelled after so many pieces of the engine's work; and the keeper until it is done."""
    world = _world(path, wire)
    stage = world.stage
    stage.on_step = lambda execution, _step: setattr(world, "execution", execution)
    world.execution = stage.start(**BRISK, **path.parameters)
    if cancel_after:
        if not _steps(stage, world.execution, cancel_after):
            return world
        stage.engine.stop(world.execution)
    cancel_when = path.cancel_when
    if cancel_when is not None:
        stage.finish(world.execution, until=lambda: cancel_when(stage))
        if not stage.engine.get(world.execution).status.over:
            stage.engine.stop(world.execution)
    stage.finish(world.execution)
    assert stage.engine.get(world.execution).status.over
    world.keep(2)
    assert world.is_up_or_coming_up(), "two keeper runs later the VM is down and nobody is at it"
    world.keep_until_done()
    world.nothing_is_forgotten()
    return world


def _steps(stage: SwiftStage, execution: str, number: int) -> bool:
    """So many pieces of work; False if the run was over before."""
    for _ in range(number):
        while not stage.steps.one():
            due = stage.engine.scheduler.next_due()
            if due is None or stage.engine.get(execution).status.over:
                return False
            stage.clock.step(max(due - stage.clock.now(), timedelta(0)))
    return not stage.engine.get(execution).status.over


def _every(path: Path, how: str) -> Iterable[tuple[int, str]]:
    number = 0
    while True:
        number += 1
        wire = Tripwire(at=number, how=how)
        try:
            _walk(path, wire)
        except BaseException as error:
            raise AssertionError(f"{how} at {number}, {wire.tripped}: {error}") from error
        if not wire.tripped:
            return
        yield number, wire.tripped


@pytest.mark.parametrize("name", PATHS)
def test_the_path_is_what_it_says_and_reading_changes_nothing(name: str) -> None:
    path = PATHS[name]

    world = _walk(path, Tripwire(at=0, how="look"))

    run = world.record()
    assert run is not None
    assert run.conclusion is not None
    assert run.conclusion.outcome is path.outcome, run.conclusion.reason


@exhaustive
@pytest.mark.parametrize("name", PATHS)
def test_a_process_that_dies_at_any_call_leaves_nothing_that_needs_a_person(name: str) -> None:
    assert len(list(_every(PATHS[name], "crash"))) >= MOST_EARLY_END


@exhaustive
@pytest.mark.parametrize("name", PATHS)
def test_a_call_that_fails_or_whose_answer_is_lost_does_no_harm(name: str) -> None:
    assert len(list(_every(PATHS[name], "fault"))) >= MOST_EARLY_END


@exhaustive
@pytest.mark.parametrize("name", ["patched", "no-checkpoint", "rolled-back", "undecided"])
def test_a_function_that_never_comes_back_leaves_the_rest_to_the_keeper(name: str) -> None:
    assert len(list(_every(PATHS[name], "dead"))) >= MOST_EARLY_END


@exhaustive
@pytest.mark.parametrize("name", [name for name, path in PATHS.items() if path.cancel_when is None])
def test_cancelled_at_any_moment_the_invariants_hold(name: str) -> None:
    number = 0
    while True:
        number += 1
        world = _walk(PATHS[name], Tripwire(at=0, how="crash"), cancel_after=number)
        if world.stage.engine.get(world.execution).status.value != "Cancelled":
            break
    assert number >= 10
