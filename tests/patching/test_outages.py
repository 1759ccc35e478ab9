"""One of the parties outside does not answer for ten minutes, or for more than an hour, from any moment of a run on.

The keeper runs every minute meanwhile. Afterwards every invariant holds, and nobody has to do anything but read.
"""

from contextlib import suppress
from datetime import timedelta

import pytest
from tests.patching.inline import SwiftStage
from tests.patching.test_crash_points import BRISK, ONE_PAUSE, PATHS, _steps
from tests.patching.worldview import Tripwire, World

from moorings.errors import CloudFault
from moorings.patching.outside import Deadline

PARTIES = {
    "Azure": {"azure"},
    "DynamoDB": {"records", "guards"},
    "Systems Manager": {"nodes", "executions"},
    "everybody": {"azure", "records", "guards", "nodes", "executions", "news"},
}
EVERY = 6  # pieces of the engine's work between two moments that are tried
MINUTE = timedelta(minutes=1)
# A run that could not do all it wanted says so; what is never seen is one that says more than is so.
MODEST = {"UNCHANGED", "UNDECIDED", "ROLLBACK_FAILED"}


class Outage(Tripwire):
    """From `since` on no call of these ports is answered, for as long as it lasts."""

    def __init__(self, ports: set[str], lasts: timedelta, stage: SwiftStage) -> None:
        super().__init__(at=-1, how="fault")
        self._ports, self._lasts, self._clock = ports, lasts, stage.clock
        self.begin = stage.clock.now() + timedelta(days=1)

    @property
    def left(self) -> timedelta:
        """How long it will still last."""
        return self.begin + self._lasts - self._clock.now()

    def sight(self, what: str) -> None:
        when, _, call = what.partition(" ")
        begun = self._clock.now() >= self.begin
        if when == "before" and begun and self.left > timedelta(0) and call.split(".")[0] in self._ports:
            raise CloudFault(f"no answer to {call}", call=call)


def outcome_after(path: str, party: str, lasts: timedelta, *, begins_after: int) -> str | None:
    """What the run says in the end; empty without a record. None if it was over before."""
    stage = SwiftStage(data=PATHS[path].data)
    stage.node.patch_time, stage.azure.operation_time = timedelta(seconds=50), ONE_PAUSE
    PATHS[path].prepare(stage)
    outage = Outage(PARTIES[party], lasts, stage)
    world = World(stage, outage)
    world.execution = stage.start(**BRISK)
    if not _steps(stage, world.execution, begins_after):
        return None
    outage.begin = stage.clock.now()
    while not stage.engine.get(world.execution).status.over:
        minute = stage.clock.now() + MINUTE
        stage.finish(world.execution, until=lambda: stage.clock.now() >= minute)  # noqa: B023
        stage.azure.settle()
        stage.node.settle()
        with suppress(CloudFault):
            stage.upkeep.run(Deadline(stage.outside.clock, timedelta(seconds=10)))
    while outage.left > -MINUTE:
        world.keep(1)
    world.keep(2)
    assert world.is_up_or_coming_up(), "the VM is down and nobody is at it"
    world.keep_until_done()
    world.nothing_is_forgotten()
    run = world.record()
    return run.conclusion.outcome.value if run is not None and run.conclusion is not None else ""


@pytest.mark.no_cover
@pytest.mark.parametrize("lasts", [timedelta(minutes=10), timedelta(minutes=70)], ids=["10 minutes", "70 minutes"])
@pytest.mark.parametrize("party", PARTIES)
@pytest.mark.parametrize("path", ["patched", "rolled-back"])
def test_an_outage_at_any_moment_leaves_nothing_that_needs_a_person(path: str, party: str, lasts: timedelta) -> None:
    told: list[str] = []
    while (outcome := outcome_after(path, party, lasts, begins_after=len(told) * EVERY + 1)) is not None:
        told.append(outcome)

    assert len(told) >= 5
    assert set(told) <= MODEST | {PATHS[path].outcome.value, ""}
    assert PATHS[path].outcome.value in told
    # Without a record the run was never more than begun: only its first moments.
    assert "" not in told[2:]
