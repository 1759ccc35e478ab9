"""Many who put one VM back: each is overtaken by the next, or dies, again and again, while Azure refuses nothing.

A schedule delivers at least once, a function may be called anew before the last one has ended, and nobody stops a call
of an execution that is cancelled. None of it is a failure of the restore: the VM comes back on its checkpoint.
"""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from tests.patching.inline import SwiftStage
from tests.patching.stage import Crash
from tests.patching.test_crash_points import BRISK, ONE_PAUSE, PATHS
from tests.patching.test_overtaken import ONE_LOOK
from tests.patching.test_upkeep import EXECUTION, Ground, restoring
from tests.patching.worldview import Tripwire, World

from moorings.errors import CloudFault
from moorings.patching.model import Guard, Outcome, Phase, VmRef
from moorings.patching.outside import Deadline
from moorings.patching.restoring import SPACING
from moorings.patching.upkeep import EVERY, LONGEST_RESTORE

exhaustive = pytest.mark.no_cover
Chooses = Callable[[str], bool]
Act = Callable[[World], None]
IN_A_ROW = 4  # each overtaken by the next one, before it goes on
AT_MOST = 12  # of one run: four times as often as Azure may refuse a move
SEEDS = range(60)
OFTEN = 0.15


class Crowd(Tripwire):
    """From the restore's beginning to the run's end: where `chooses` says so, `act` happens to whoever is at work."""

    def __init__(self, chooses: Chooses, act: Act) -> None:
        super().__init__(at=0, how="fault")
        self._chooses = chooses
        self._act = act
        self._deep = 0
        self.world: World | None = None
        self.met: list[tuple[str, datetime]] = []

    def sight(self, what: str) -> None:
        run = self.world.record() if self.world is not None else None
        if self.world is None or run is None or run.restore is None or what.startswith("begin "):
            return
        if self._deep < IN_A_ROW and len(self.met) < AT_MOST and self._chooses(what):
            self.met.append((what, self.world.stage.clock.now()))
            self._deep += 1
            try:
                self._act(self.world)
            finally:
                self._deep -= 1


def overtaken(world: World) -> None:
    """Another keeper looks; before the first one somebody cancels the execution."""
    stage, execution = world.stage, world.execution
    if stage.listens(execution):
        stage.engine.stop(execution)
        stage.finish(execution)
    due = stage.record(execution).look_at
    if due is None:
        return
    stage.clock.step(min(max(due - stage.clock.now(), timedelta(0)), EVERY))
    with suppress(Crash):
        stage.upkeep.run(Deadline(stage.outside.clock, ONE_LOOK))


def dies(_world: World) -> None:
    raise Crash


def hears_nothing(_world: World) -> None:
    raise CloudFault("no answer", call="any")


def put_back(path: str, chooses: Chooses, act: Act) -> Crowd:
    """One run in which that happens. It ends as if nothing had."""
    stage = SwiftStage(data=PATHS[path].data)
    stage.node.patch_time, stage.azure.operation_time = ONE_PAUSE * 3, ONE_PAUSE
    PATHS[path].prepare(stage)
    wire = Crowd(chooses, act)
    world = wire.world = World(stage, wire)
    stage.on_step = lambda execution, _step: setattr(world, "execution", execution)
    stage.finish(stage.start(**BRISK, **PATHS[path].parameters))
    world.keep(3)
    world.keep_until_done()
    run = world.record()
    assert run is not None
    assert run.conclusion is not None
    assert run.restore is not None
    told = [moment.told for moment in run.timeline], wire.met
    assert (run.conclusion.outcome, run.restore.ended) == (Outcome.ROLLED_BACK, "ours"), (run.conclusion.reason, told)
    world.nothing_is_forgotten()
    return wire


def sights(path: str) -> list[str]:
    """All sorts of them on a path that is cancelled as soon as the restore has begun."""
    seen: list[str] = []

    def first(what: str) -> bool:
        seen.append(what)
        return len(seen) == 1

    put_back(path, first, overtaken)
    return sorted(set(seen))


@exhaustive
@pytest.mark.parametrize("act", [overtaken, dies, hears_nothing])
@pytest.mark.parametrize("path", ["rolled-back", "data-disks"])
def test_who_is_stopped_at_one_call_again_and_again_uses_up_no_try(path: str, act: Act) -> None:
    met = [put_back(path, sight.__eq__, act).met for sight in sights(path)]

    assert max(map(len, met)) == AT_MOST
    assert len(met) > 30


def by_dice(seed: int) -> tuple[Chooses, Act]:
    """Anything, anywhere."""
    dice = random.Random(seed)

    def act(world: World) -> None:
        dice.choice((overtaken, overtaken, dies, hears_nothing))(world)

    return lambda _what: dice.random() < OFTEN, act


@exhaustive
@pytest.mark.parametrize("path", ["rolled-back", "data-disks"])
def test_whatever_stops_those_who_put_a_vm_back_and_wherever_it_comes_back(path: str) -> None:
    for seed in SEEDS:
        try:
            put_back(path, *by_dice(seed))
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


@pytest.mark.parametrize("call", ["power_off", "write_storage", "start"])
def test_what_nobody_heard_of_is_not_sent_again_at_once(call: str) -> None:
    """Azure takes 4 updates of a VM a minute; and what was sent may be on its way."""
    met = [at for _what, at in put_back("rolled-back", f"before azure.{call}".__eq__, dies).met]

    assert len(met) == AT_MOST
    assert all(later - sooner >= SPACING for sooner, later in pairwise(met))


def test_a_keeper_whom_another_one_forestalls_tells_nobody_anything() -> None:
    """The other one may have put the VM back meanwhile, and reported that."""
    ground = Ground()
    restoring(ground, began_at=ground.stage.clock.now() - LONGEST_RESTORE)
    table, key = ground.stage.table, ground.stage.vm.key
    take = table.take

    def late(vm: VmRef, *, owner: str, until: datetime, seen: Guard | None) -> Guard | None:
        table.take = take  # type: ignore[method-assign]
        table.guards[key] = replace(table.guards[key], fence=table.guards[key].fence + 1)
        return take(vm, owner=owner, until=until, seen=seen)

    table.take = late  # type: ignore[method-assign]
    before = ground.stage.record(EXECUTION)

    assert ground.keep() == before
    assert ground.stage.notebook.announced == []
    assert ground.keep().phase is Phase.OVER
