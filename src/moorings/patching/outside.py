"""Everything outside that a run needs, in one hand; and what every step does with it: guard, record, timeline."""

from dataclasses import dataclass, replace
from datetime import timedelta

from moorings.clock import Clock
from moorings.errors import Conflict
from moorings.patching.model import GUARD_MARGIN, Moment, Phase, Run
from moorings.patching.ports import (
    Clouds,
    Compute,
    Countdown,
    Documents,
    Executions,
    Guards,
    Journal,
    News,
    Nodes,
    Overtaken,
    Records,
)

# A node's run has few moments, but for what is tried again and again: its beginning is kept, and its end.
LONGEST_TIMELINE, FIRST_MOMENTS = 60, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """The ports of one function environment. `scopes` are the stack's AllowedScopes, `environment` its Azure cloud."""

    clouds: Clouds
    documents: Documents
    nodes: Nodes
    executions: Executions
    guards: Guards
    records: Records
    news: News
    journal: Journal
    clock: Clock
    scopes: tuple[str, ...]
    stack: str
    environment: str

    def run_of(self, execution: str) -> Run:
        """The record of an execution. Conflict if it was never described."""
        run = self.records.load(execution)
        if run is None:
            raise Conflict(
                f"execution {execution} has no record in this stack",
                remedy="run the step DescribeVM of the runbook first",
            )
        return run

    def compute(self, run: Run) -> Compute:
        """Azure, as the run's credentials see it."""
        assert run.vm is not None, "only a described VM is worked on"
        return self.clouds.compute(run.credentials, subscription=run.vm.subscription)

    def hold(self, run: Run, *, next_step: timedelta) -> None:
        """Make sure that the VM is still ours, for as long as the next step may take. Overtaken if it is not: then
        nothing may be written to it any more."""
        assert run.vm is not None, "only a described VM is guarded"
        until = self.clock.now() + next_step + GUARD_MARGIN
        if not self.guards.hold(run.vm, owner=run.execution, fence=run.fence, until=until):
            raise Overtaken(
                f"execution {run.execution} no longer holds the guard of VM {run.vm.name}",
                remedy="nothing: whoever took the VM over goes on with it",
            )

    def give_up_unless_needed(self, run: Run) -> None:
        """Give up the guard that was just taken for a run, if its record, which somebody else has written meanwhile, is
        concluded or knows of none: nobody else would, and the VM would be shut to other runs for a while."""
        there = self.records.load(run.execution)
        if run.vm is not None and run.fence and there is not None and (there.phase is Phase.OVER or not there.fence):
            self.guards.release(run.vm, owner=run.execution, fence=run.fence)

    def entered(self, run: Run, phase: Phase, what: str) -> Run:
        """The run in its next phase, with that moment in its timeline; not saved yet."""
        return replace(self.noted(run, what), phase=phase)

    def noted(self, run: Run, what: str) -> Run:
        """The run with one more moment in its timeline; not saved yet. What repeats is one moment, counted."""
        moment = Moment(at=self.clock.now(), what=what[:300])
        self.journal.record("moment", execution=run.execution, node=run.node, what=moment.what)
        return replace(run, timeline=_longer(run.timeline, moment))


def _longer(timeline: tuple[Moment, ...], moment: Moment) -> tuple[Moment, ...]:
    """With one more moment; two that take turns (a try, and its failure) are told once, with how often."""
    for back in (1, 2):
        former = timeline[-back] if len(timeline) >= back else None
        if former is not None and former.what == moment.what:
            again = replace(former, times=former.times + 1)
            return (*timeline[:-back], again, *timeline[len(timeline) - back + 1 :])
    longer = (*timeline, moment)
    return longer if len(longer) <= LONGEST_TIMELINE else (*longer[:FIRST_MOMENTS], *longer[FIRST_MOMENTS + 1 :])


class Deadline:
    """A countdown on the clock port, for whoever has no Lambda context."""

    def __init__(self, clock: Clock, duration: timedelta) -> None:
        self._clock = clock
        self._end = clock.now() + duration

    def remaining(self) -> timedelta:
        """See `ports.Countdown.remaining`."""
        return self._end - self._clock.now()


def time_for(countdown: Countdown, seconds: float) -> bool:
    """Whether another call that may take `seconds` fits in."""
    return countdown.remaining() >= timedelta(seconds=seconds)
