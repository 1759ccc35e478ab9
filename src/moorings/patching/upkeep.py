"""What the keeper does: goes on with what its execution no longer does, and removes what has expired.

It looks only at runs that are due: the table knows when each wants to be looked at. One run that fails holds up none.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from moorings.errors import MooringsError
from moorings.patching.deleting import Deleter, expiry_of, may_delete
from moorings.patching.describing import LOOK_AGAIN
from moorings.patching.model import Phase, Run
from moorings.patching.observed import Disk, same_id
from moorings.patching.outside import Outside, time_for
from moorings.patching.ports import AzureRefused, Countdown, Overtaken
from moorings.patching.reporting import complete, look, mark, report
from moorings.patching.restoring import NEXT_STEP, NOT_NOW, ONE_MOVE, restore, verify

MOST_RUNS = 200  # of hundreds that go on all are asked after every few minutes, so that none that is down waits
ONE_RUN = 15.0  # seconds
EVERY = timedelta(minutes=1)
# Between two looks of one run of the keeper. Source: Azure's status monitors are not asked more often.
GLANCE = timedelta(seconds=5)
# A restore that the keeper goes on with is given up for a person when ARM has refused it for so long.
LONGEST_RESTORE = timedelta(hours=24)
AFTER_A_FAILURE, SELDOM = timedelta(minutes=3), timedelta(days=1)
# Steps of the runbook from which on the node may have changed.
PATCH_STEPS = ("PrePatchLinux", "PrePatchWindows", "InstallPatches")


class Upkeep:
    """The keeper's work over one stack's runs."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    def run(self, countdown: Countdown) -> int:
        """Look after every run that is due, as many as fit; returns how many. A failure waits for its next turn.

        VMs that are being put back are looked at again and again while there is time: one move a minute would keep them
        down for minutes. What nobody expected is raised once every other run had its turn.
        """
        outside, seen = self._outside, 0
        bugs: list[Exception] = []
        under_way: list[Run] = []
        for execution in outside.records.due(outside.clock.now(), limit=MOST_RUNS):
            if not time_for(countdown, ONE_RUN):
                break
            seen += 1
            try:
                under_way += self._look_after(execution, countdown)
            except Overtaken as overtaken:
                self._put_off(execution, overtaken)
            except (MooringsError, AzureRefused) as error:
                if isinstance(error, AzureRefused) and error.code.lower() in NOT_NOW:
                    self._put_off(execution, error)
                else:
                    outside.journal.record("upkeep_failed", execution=execution, error=str(error))
                    outside.journal.count("UpkeepFailed")
                self._later(execution)
            except Exception as bug:
                # The door of one run: behind it other VMs may be down.
                outside.journal.record("upkeep_failed", execution=execution, error=f"{type(bug).__name__}: {bug}")
                outside.journal.count("UpkeepFailed")
                bugs.append(bug)
                self._later(execution)
        self._stay(under_way, countdown)
        if bugs:
            raise bugs[0]
        return seen

    def _stay(self, under_way: list[Run], countdown: Countdown) -> None:
        """Go on with restores, one after another, until all are over or the time is; then the next keeper does."""
        outside = self._outside
        while under_way and time_for(countdown, GLANCE.total_seconds() + ONE_MOVE):
            outside.clock.wait(GLANCE)
            left: list[Run] = []
            for run in under_way:
                if not time_for(countdown, ONE_MOVE):
                    left.append(run)
                    continue
                try:
                    left += self._moved(run, countdown)
                except (MooringsError, AzureRefused) as error:
                    self._put_off(run.execution, error)
            under_way = left
        self._hand_on(under_way, countdown)

    def _hand_on(self, under_way: list[Run], countdown: Countdown) -> None:
        """Let the next keeper look at once. It begins when this one's time is over; if this one dies, a minute later:
        until then it must not be overtaken while it works."""
        outside = self._outside
        for run in under_way:
            if not time_for(countdown, 0):
                return
            try:
                outside.records.postpone(run, outside.clock.now())
            except MooringsError as error:
                self._put_off(run.execution, error)

    def _put_off(self, execution: str, why: Exception) -> None:
        """Nothing more of it now: it wants to be looked at in a minute as it is; or somebody else has it by now."""
        self._outside.journal.record("upkeep_put_off", execution=execution, error=str(why))

    def collect(self, execution: str, *, deleter: Deleter, rehearse: bool = False) -> tuple[list[str], list[str]]:
        """Delete what an execution left behind, as far as the rule lets `deleter`: (deleted ids, reasons why not).

        `rehearse`: only say what would be deleted. Deletes are begun, not awaited; the keeper looks again later.
        """
        outside = self._outside
        run = outside.run_of(execution)
        over = run.phase is Phase.OVER and outside.executions.over(execution)
        after, deleted, kept = self._collected(run, deleter=deleter, over=over, rehearse=rehearse)
        if not rehearse and (deleted or after.leftovers != run.leftovers):
            outside.records.save(replace(after, look_at=outside.clock.now() + AFTER_A_FAILURE))
        return deleted, kept

    def _look_after(self, execution: str, countdown: Countdown) -> list[Run]:
        """The run again, if a look in a moment may bring it on."""
        outside = self._outside
        run = outside.records.load(execution)
        if run is None:
            return []
        if not outside.executions.over(execution):
            self._overdue(run)
            # Also one that has its outcome: whoever reports it may not have done all that follows.
            outside.records.postpone(run, outside.clock.now() + _patience(run))
        elif run.phase is Phase.OVER:
            outside.records.save(self._tidied(run))
        elif run.restore is not None:
            return self._go_on(run, countdown)
        else:
            began = run.phase is not Phase.DESCRIBED and outside.executions.began(execution, PATCH_STEPS)
            report(self._taken_over(run), outside, install_began=began)
        return []

    def _go_on(self, run: Run, countdown: Countdown) -> list[Run]:
        """Take over a restore whose execution is over, and make its next move; what is given up is reported."""
        outside = self._outside
        run = self._taken_over(run)
        state = run.restore
        assert state is not None
        if not run.fence:
            lost = replace(state, ended=state.ended or "foreign", note=state.note or "another run holds the VM")
            report(replace(run, restore=lost), outside, install_began=True)
            return []
        if not state.ended and outside.clock.now() - state.began_at > LONGEST_RESTORE:
            given_up = replace(state, ended="down", ended_at=outside.clock.now(), note=state.note or "it took too long")
            report(replace(run, restore=given_up), outside, install_began=True)
            return []
        going_on = self._moved(run, countdown)
        for one in going_on:
            self._overdue(one)
        return going_on

    def _overdue(self, run: Run) -> None:
        """Alarm for a VM that is down past its restore's deadline: every look goes well, but no move gets through."""
        state, now = run.restore, self._outside.clock.now()
        if state is None or state.ended or now < state.deadline:
            return
        minutes = (now - state.began_at).total_seconds() / 60
        why = f"the restore has not come to its end in {minutes:.0f} minutes" + (
            f": {state.note}" if state.note else ""
        )
        self._outside.journal.record("upkeep_failed", execution=run.execution, error=why)
        self._outside.journal.count("UpkeepFailed")

    def _moved(self, run: Run, countdown: Countdown) -> list[Run]:
        """One look at a restore that is ours, and the moves that follow; its report once it has come to its end."""
        outside, state = self._outside, run.restore
        assert state is not None
        if not state.ended:
            run = restore(run, outside, countdown)
        elif state.ended == "ours" and state.online is None:
            run = verify(run, outside)
        state = run.restore or state
        if state.ended and (state.ended != "ours" or state.online is not None):
            report(run, outside, install_began=True)
            return []
        run = outside.records.save(replace(run, look_at=outside.clock.now() + EVERY))
        return [] if state.ended else [run]

    def _taken_over(self, run: Run) -> Run:
        """The run under a new fencing number: what is left of its own calls can write no more."""
        outside = self._outside
        if run.vm is None or not run.fence:
            return run
        seen = outside.guards.of(run.vm)
        if seen is not None and seen.owner not in {"", run.execution}:
            return replace(run, fence=0)  # the VM is another run's by now
        until = outside.clock.now() + NEXT_STEP
        taken = outside.guards.take(run.vm, owner=run.execution, until=until, seen=seen)
        if taken is None:
            raise Overtaken(f"somebody else works on execution {run.execution}", remedy="nothing: they go on with it")
        ours = replace(run, fence=taken.fence)
        try:
            return outside.records.save(ours)
        except Overtaken:
            outside.give_up_unless_needed(ours)
            raise

    def _tidied(self, run: Run) -> Run:
        now = self._outside.clock.now()
        owed = complete(run, self._outside)
        over = self._outside.executions.over(run.execution)
        after, deleted, _ = self._collected(owed, deleter=Deleter.KEEPER, over=over)
        if not after.leftovers:
            return replace(after, look_at=owed.look_at, expires_at=None)
        if owed.look_at is not None or after.expires_at is None:
            return replace(after, look_at=owed.look_at)  # what a person decides about is not looked at again
        return replace(after, look_at=now + (AFTER_A_FAILURE if deleted else until_next(now, after.expires_at)))

    def _collected(
        self, run: Run, *, deleter: Deleter, over: bool, rehearse: bool = False
    ) -> tuple[Run, list[str], list[str]]:
        """What is still there (deletes take a moment), what was deleted now, and why the rest was not."""
        outside = self._outside
        if not run.leftovers:
            return run, [], []
        compute, now = outside.compute(run), outside.clock.now()
        left, deleted, kept = [], [], []
        dates: list[datetime] = []
        for resource_id in run.leftovers:
            resource = look(compute, resource_id)
            if resource is None:
                continue
            left.append(resource_id)
            attached = isinstance(resource, Disk) and resource.attached
            why = may_delete(
                resource.name,
                resource.tags,
                deleter=deleter,
                execution=run.execution,
                now=now,
                over=over,
                attached=attached,
            )
            if not why:
                if not rehearse:
                    compute.delete(resource_id)
                deleted.append(resource_id)
                continue
            kept.append(f"{resource.name}: {why}")
            expiry = expiry_of(resource.tags)
            if expiry is None and run.expires_at is not None:
                expiry = run.expires_at  # its deletion was accepted and failed later, or Azure refused the mark
                if not rehearse:
                    former = any(same_id(entry.source_id, resource_id) for entry in run.checkpoint)
                    mark(run, resource, expiry, compute, outside, former=former)
            if expiry is not None:
                dates.append(expiry)
        if not rehearse:
            outside.journal.count("LeftoversDeleted", len(deleted))
        return replace(run, leftovers=tuple(left), expires_at=min(dates, default=run.expires_at)), deleted, kept

    def _later(self, execution: str) -> None:
        """Let a run that could not be looked after wait, so that it does not stand before all others."""
        outside = self._outside
        try:
            run = outside.records.load(execution)
            if run is not None:
                now = outside.clock.now()
                outside.records.postpone(run, now + _pause_after_failure(run, now))
        except Exception as error:
            # Whatever it failed at may be met again here, a bug too: `run` has counted it, and goes on with the others.
            outside.journal.record("upkeep_failed", execution=execution, error=f"{type(error).__name__}: {error}")


def until_next(now: datetime, expires_at: datetime) -> timedelta:
    """When to look again at leftovers that are kept: once they expire; and at those that have, but that a VM holds or
    Azure does not let go, the later the longer that lasts."""
    if expires_at > now:
        return max(AFTER_A_FAILURE, expires_at - now)
    return min(max(AFTER_A_FAILURE, (now - expires_at) / 4), SELDOM)


def _pause_after_failure(run: Run, now: datetime) -> timedelta:
    """When to try again: what only waits to be deleted has time, the more the longer Azure does not let it go."""
    if run.phase is Phase.OVER and run.expires_at is not None and run.expires_at <= now:
        return until_next(now, run.expires_at)
    # In each 5 minutes at least once, the period of the alarm: else it would go and come back for as long as it lasts.
    return min(_patience(run), AFTER_A_FAILURE)


def _patience(run: Run) -> timedelta:
    """When to look again at a run whose execution goes on: a VM that is down is looked at every time."""
    return EVERY if run.phase in {Phase.RESTORING, Phase.RESTORED} else LOOK_AGAIN
