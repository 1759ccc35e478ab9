"""The guard: whoever does not hold it writes nothing to the VM, however runs and keeper interleave."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.patching.inline import SwiftStage
from tests.patching.test_crash_points import BRISK, ONE_PAUSE, PATHS, Path
from tests.patching.worldview import Tripwire, World

from moorings.patching.model import Guard, Outcome

WRITES = ("put_snapshot", "put_disk", "power_off", "deallocate", "start", "write_storage")
WRITING = frozenset(f"before azure.{name}" for name in WRITES)
HELD = "after guards.hold"
ENOUGH = 20  # rounds, for every loop of these paths
THIEF = "99999999-0000-4000-8000-000000000000"
exhaustive = pytest.mark.no_cover


class Witness(Tripwire):
    """Sees everything in order; at one sight somebody else takes the VM over."""

    def __init__(self, steal_at: int = 0) -> None:
        super().__init__(at=-1, how="fault")
        self.log: list[str] = []
        self.steal_at = steal_at
        self.stage: SwiftStage | None = None
        self.stolen_at = -1

    def sight(self, what: str) -> None:
        self.log.append(what)
        assert self.stage is not None
        key = self.stage.vm.key
        guard = self.stage.table.guards.get(key)
        if len(self.log) == self.steal_at and guard is not None:
            self.stolen_at = len(self.log)
            until = self.stage.clock.now() + timedelta(days=9)
            self.stage.table.guards[key] = Guard(vm=key, owner=THIEF, fence=guard.fence + 1, until=until)


def walk(path: Path, witness: Witness) -> World:
    stage = SwiftStage(data=path.data)
    stage.node.patch_time = timedelta(seconds=50)
    stage.azure.operation_time = ONE_PAUSE
    stage.rounds = ENOUGH  # who has lost the guard fails in each round
    path.prepare(stage)
    witness.stage = stage
    world = World(stage, witness)
    world.execution = stage.start(**BRISK, **path.parameters)
    stage.finish(world.execution)
    world.keep(3)
    return world


@pytest.mark.parametrize("name", ["patched", "no-checkpoint", "rolled-back", "update-fails-once", "data-disks"])
def test_every_write_comes_right_after_a_look_at_the_guard(name: str) -> None:
    witness = Witness()

    walk(PATHS[name], witness)

    before = [witness.log[number - 1] for number, what in enumerate(witness.log) if what in WRITING]
    assert set(before) == {HELD}


@exhaustive
@pytest.mark.parametrize("name", ["patched", "rolled-back"])
def test_who_has_lost_the_guard_begins_no_further_write(name: str) -> None:
    whole = Witness()
    walk(PATHS[name], whole)
    # Up to the restore a run that is put back is like any other.
    start = whole.log.index("begin restore") if "begin restore" in whole.log else 0
    for number in range(start + 1, len(whole.log) + 1):
        witness = Witness(steal_at=number)
        world = walk(PATHS[name], witness)
        if witness.stolen_at < 0:
            continue  # nobody held it yet
        after = [what for what in witness.log[witness.stolen_at :] if what in WRITING]
        # Between the look and the write nobody can come: Azure knows no fencing numbers.
        assert len(after) <= (1 if witness.log[number - 1] == HELD else 0), (number, after)
        assert world.stage.table.guards[world.stage.vm.key].owner == THIEF, "nobody gives up what is not theirs"
        run = world.record()
        assert run is not None
        assert run.conclusion is not None
    assert len(whole.log) - start > 50


def _watch_installs(stage: SwiftStage) -> list[str]:
    """The comments of installations that were sent for a run which does not hold the guard; filled as they are sent."""
    send, unguarded = stage.node.send, list[str]()

    def sending(document: str, parameters: dict[str, Any], comment: str) -> str:
        if parameters.get("Operation") == ["Install"] and stage.table.guards[stage.vm.key].owner not in comment:
            unguarded.append(comment)
        return send(document, parameters, comment)

    stage.node.send = sending  # type: ignore[method-assign]
    return unguarded


@exhaustive
def test_of_two_runs_at_any_distance_one_works_on_the_vm_at_a_time() -> None:
    for distance in range(60):
        stage = SwiftStage()
        stage.node.patch_time = timedelta(seconds=50)
        stage.azure.operation_time = ONE_PAUSE
        unguarded = _watch_installs(stage)
        first = stage.start(**BRISK)
        for _ in range(distance):
            if not stage.steps.one() and (due := stage.engine.scheduler.next_due()):
                stage.clock.step(max(due - stage.clock.now(), timedelta(0)))
        second = stage.start(**BRISK)
        for execution in (first, second):
            stage.finish(execution)

        assert not unguarded
        runs = [stage.record(one) for one in (first, second)]
        outcomes = [run.conclusion.outcome for run in runs if run.conclusion is not None]
        assert len(outcomes) == 2
        assert Outcome.PATCHED in outcomes
        refused = [run for run in runs if "another run works on this VM" in run.refusal]
        assert refused or distance > 5
        assert stage.table.guards[stage.vm.key].owner == ""


def test_a_guard_is_taken_over_only_when_its_time_and_its_execution_are_over() -> None:
    stage = SwiftStage()
    first = stage.start(**BRISK)
    stage.finish(first, until=lambda: stage.vm.key in stage.table.guards)
    guard = stage.table.guards[stage.vm.key]

    stage.table.guards[stage.vm.key] = replace(guard, until=stage.clock.now() - timedelta(hours=1))
    second = stage.start(**BRISK)
    stage.finish(second)

    assert "another run works on this VM" in stage.record(second).refusal  # late, but not over


def test_what_an_ended_run_left_behind_is_taken_over() -> None:
    stage = SwiftStage()
    stage.table.guards[stage.vm.key] = Guard(
        vm=stage.vm.key, owner=THIEF, fence=7, until=stage.clock.now() - timedelta(seconds=1)
    )
    stage.ended.add(THIEF)

    execution = stage.start(**BRISK)
    stage.finish(execution)

    run = stage.record(execution)
    assert run.fence > 7
    assert run.conclusion is not None
    assert run.conclusion.outcome is Outcome.PATCHED


def test_fencing_numbers_only_rise() -> None:
    stage = SwiftStage()
    fences = []
    for _ in range(3):
        execution = stage.start(**BRISK)
        stage.finish(execution)
        fences.append(stage.record(execution).fence)

    assert fences == sorted(set(fences))
