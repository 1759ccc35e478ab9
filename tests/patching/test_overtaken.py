"""Two that write one record: a call that still runs while its execution is cancelled, and its report or the keeper; two
tries of one call; the keeper and a person.

Systems Manager does not wait for a function that it has called, so a cancel often meets one under way. Exhaustive by
counting: the other comes at the n-th sight of a call to a cloud, n = 1, 2, … until the call comes through untouched.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.patching.inline import SwiftStage
from tests.patching.test_crash_points import BRISK, ONE_PAUSE, PATHS
from tests.patching.test_upkeep import EXECUTION, Ground, restoring
from tests.patching.worldview import Tripwire, World

from moorings.errors import CloudFault
from moorings.patching.answers import Answer
from moorings.patching.asks import Event
from moorings.patching.aws import SsmExecutions
from moorings.patching.deleting import Deleter
from moorings.patching.model import Conclusion, Outcome, Phase, Run
from moorings.patching.outside import Deadline
from moorings.patching.ports import AzureRefused, Countdown, Overtaken

exhaustive = pytest.mark.no_cover
# Each call of the function, and a path on which it is made.
CALLS = {
    "describe": "patched",
    "checkpoint": "patched",
    "checkpoint-status": "no-checkpoint",
    "evidence": "patched",
    "judge": "patched",
    "release": "patched",
    "restore": "rolled-back",
    "verify": "rolled-back",
    "report": "rolled-back",
}
INVOCATIONS = 2  # of a call that is made again and again
ONE_LOOK = timedelta(seconds=16)  # of the keeper, which then has no time for a second


class Meanwhile(Tripwire):
    """At the n-th sight of one invocation, once, somebody else acts."""

    def __init__(self, *, call: str, invocation: int, at: int, act: Callable[[], None]) -> None:
        super().__init__(at=at, how="fault")
        self._call, self._invocation, self.act = call, invocation, act
        self.inside = False

    def begins(self, event: Event) -> bool:
        """Whether this is the invocation."""
        self._invocation -= event["call"] == self._call
        self.inside = event["call"] == self._call and self._invocation == 0
        return self.inside

    def sight(self, what: str) -> None:
        if not self.inside or self.tripped or what.startswith("begin "):
            return
        self.seen += 1
        if self.seen == self.at:
            self.tripped = what
            self.act()


class Meeting:
    """One run, of which one call meets somebody else at one sight; and what the call came to."""

    def __init__(self, *, call: str, invocation: int, at: int, other: Callable[["Meeting"], None]) -> None:
        path = PATHS[CALLS[call]]
        self.stage = SwiftStage(data=path.data)
        self.stage.node.patch_time, self.stage.azure.operation_time = ONE_PAUSE * 3, ONE_PAUSE
        path.prepare(self.stage)
        self.wire = Meanwhile(call=call, invocation=invocation, at=at, act=lambda: other(self))
        self.world = World(self.stage, self.wire)
        self.event: Event = {}
        self.answer: Answer = {}
        self.error: Exception | None = None
        self._answer = self.stage.patching.answer
        self.stage.patching.answer = self._answering  # type: ignore[method-assign]

    def _answering(self, event: Event, countdown: Countdown) -> Answer:
        if self.event or not self.wire.begins(event):
            return self._answer(event, countdown)
        self.event = event
        try:
            self.answer = self._answer(event, countdown)
        except Exception as error:
            self.error = error
            raise
        finally:
            self.wire.inside = False
        return self.answer

    def walk(self) -> None:
        """To the end of the run, and of all that the keeper has to do; the invariants hold."""
        self.world.execution = self.stage.start(**BRISK)
        self.stage.finish(self.world.execution)
        self.world.keep(3)
        self.world.keep_until_done()
        self.world.nothing_is_forgotten()


def cancelled(meeting: Meeting) -> None:
    """A person cancels, and the runbook reports."""
    meeting.stage.engine.stop(meeting.world.execution)
    meeting.stage.finish(meeting.world.execution)


def cancelled_and_kept(meeting: Meeting) -> None:
    """And the keeper has looked once."""
    cancelled(meeting)
    meeting.stage.upkeep.run(Deadline(meeting.stage.outside.clock, ONE_LOOK))


def cancelled_without_a_report(meeting: Meeting) -> None:
    """The function could not be called: the keeper does it."""
    meeting.stage.failing_calls["report"] = 1
    cancelled_and_kept(meeting)


def tried_again(meeting: Meeting) -> None:
    """The step was cut off, and calls once more."""
    meeting.stage.patching.answer(meeting.event, Deadline(meeting.stage.outside.clock, timedelta(seconds=20)))


def meetings(call: str, other: Callable[[Meeting], None]) -> Iterator[Meeting]:
    """Every sight of the first invocations of a call."""
    for invocation in range(1, INVOCATIONS + 1):
        at = 0
        while True:
            at += 1
            meeting = Meeting(call=call, invocation=invocation, at=at, other=other)
            try:
                meeting.walk()
            except AssertionError as error:
                raise AssertionError(f"invocation {invocation}, {meeting.wire.tripped}: {error}") from error
            if not meeting.wire.tripped:
                break
            yield meeting


@exhaustive
@pytest.mark.parametrize("other", [cancelled, cancelled_and_kept, cancelled_without_a_report])
@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_a_cancel_meets_ends_in_no_error_and_leaves_nothing(
    call: str, other: Callable[[Meeting], None]
) -> None:
    """No guard is held by nobody, no snapshot appears that no record knows, no VM stays down."""
    met = list(meetings(call, other))

    assert [(one.wire.tripped, one.error) for one in met if one.error is not None] == []
    told = [one for one in met if one.answer.get("Overtaken")]
    # A report goes on without its record. The keeper comes at once only to a VM that may be down.
    assert told or call == "report" or (other is cancelled_without_a_report and call not in {"restore", "verify"})
    for one in told:
        assert [facts["call"] for event, facts in one.stage.notebook.records if event == "overtaken"] == [call]


@exhaustive
@pytest.mark.parametrize("call", CALLS)
def test_of_two_tries_of_one_call_the_later_to_write_fails_and_the_run_goes_on(call: str) -> None:
    """The runbook waits for the answer: a call that says nothing must not pass for one that says yes."""
    met = list(meetings(call, tried_again))

    assert met
    for one in met:
        run = one.world.record()
        assert run is not None
        assert run.conclusion is not None
        assert run.conclusion.outcome is PATHS[CALLS[call]].outcome, (one.wire.tripped, run.conclusion.reason)
        assert one.error is None or isinstance(one.error, Overtaken)
        assert "Overtaken" not in one.answer


def test_where_nobody_can_tell_whether_the_answer_is_heard_it_is_an_error() -> None:
    def act(meeting: Meeting) -> None:
        cancelled(meeting)
        meeting.stage.listens = unknown  # type: ignore[method-assign]

    def unknown(execution: str) -> bool:
        raise CloudFault("throttled", call="ssm:GetAutomationExecution")

    meeting = Meeting(call="restore", invocation=1, at=1, other=act)
    meeting.walk()

    assert isinstance(meeting.error, Overtaken)


@pytest.mark.parametrize(
    ("status", "over", "listens"),
    [
        ("InProgress", False, True),
        ("Waiting", False, True),
        ("Cancelling", False, False),
        ("Cancelled", True, False),
        ("TimedOut", True, False),
        ("Success", True, False),
    ],
)
def test_an_execution_listens_until_it_is_over_or_being_cancelled(status: str, over: bool, listens: bool) -> None:
    class Client:
        def get_automation_execution(self, **_: Any) -> dict[str, Any]:
            return {"AutomationExecution": {"AutomationExecutionStatus": status}}

    executions = SsmExecutions(client=Client())

    assert (executions.over(EXECUTION), executions.listens(EXECUTION)) == (over, listens)


# -- the keeper

PAUSES: dict[str, Callable[[SwiftStage], bool]] = {
    "rolled-back": lambda stage: stage.azure.vms[stage.vm.key].power != "running",
    "patched": lambda stage: "installed" in stage.node.disk,
    "no-checkpoint": lambda stage: bool(stage.azure.snapshots),
}


def two_keepers(path: str, at: int) -> tuple[Meanwhile, World]:
    """A run that is interrupted, and its keeper, which meets another one at its n-th sight."""
    stage = SwiftStage()
    stage.node.patch_time, stage.azure.operation_time = ONE_PAUSE * 3, ONE_PAUSE
    PATHS[path].prepare(stage)

    def second() -> None:
        stage.upkeep.run(Deadline(stage.outside.clock, ONE_LOOK))

    wire = Meanwhile(call="keeper", invocation=1, at=at, act=second)
    world = World(stage, wire)
    world.execution = stage.start(**BRISK)
    stage.finish(world.execution, until=lambda: PAUSES[path](stage))
    stage.failing_calls["report"] = 1
    stage.engine.stop(world.execution)
    stage.finish(world.execution)
    wire.begins({"call": "keeper"})
    world.keep(3)
    world.keep_until_done()
    return wire, world


@exhaustive
@pytest.mark.parametrize("path", PAUSES)
def test_a_second_keeper_at_any_moment_leaves_nothing_and_alarms_nobody(path: str) -> None:
    """Its schedule delivers at least once, and Lambda runs what failed again."""
    at = 1
    while (met := two_keepers(path, at))[0].tripped:
        wire, world = met
        try:
            world.nothing_is_forgotten()
        except AssertionError as error:
            raise AssertionError(f"{wire.tripped} ({at}): {error}") from error
        assert "UpkeepFailed" not in world.stage.notebook.metrics
        at += 1
    assert at > 20


@pytest.fixture
def ground() -> Ground:
    return Ground()


def _changed_meanwhile(ground: Ground, **changes: Any) -> None:
    """Somebody writes the record between the keeper's look at it and the keeper's write."""
    save = ground.stage.shelf.save

    def late(run: Run) -> Run:
        ground.stage.shelf.save = save  # type: ignore[method-assign]
        save(replace(ground.stage.record(run.execution), **changes))
        return save(run)

    ground.stage.shelf.save = late  # type: ignore[method-assign]


def test_a_keeper_that_is_overtaken_alarms_nobody_and_looks_again(ground: Ground) -> None:
    ground.run()
    _changed_meanwhile(ground, platform="Linux")

    ground.keep()
    assert [event for event, _ in ground.stage.notebook.records if event.startswith("upkeep")] == ["upkeep_put_off"]
    assert "UpkeepFailed" not in ground.stage.notebook.metrics

    assert ground.keep().phase is Phase.OVER


def test_a_keeper_that_cannot_look_is_in_the_way_of_no_call_of_the_run(ground: Ground) -> None:
    """It could not even find out whether the execution goes on; and that does."""
    read = ground.run(phase=Phase.PATCHING)

    def unknown(execution: str) -> bool:
        raise CloudFault("throttled", call="ssm:GetAutomationExecution")

    ground.stage.over = unknown  # type: ignore[method-assign]
    after = ground.keep()

    assert after.look_at != read.look_at
    assert ground.stage.table.save(replace(read, vm_guid="changed")).version == read.version + 1


def test_a_person_who_meets_the_keeper_hears_to_try_again(ground: Ground) -> None:
    snapshot = ground.snapshot()
    ground.run(phase=Phase.PATCHING, checkpoint=(ground.entry(snapshot),), leftovers=(snapshot,))
    ground.keep()
    _changed_meanwhile(ground, platform="Linux")

    with pytest.raises(Overtaken):
        ground.stage.upkeep.collect(EXECUTION, deleter=Deleter.PERSON)

    assert ground.stage.upkeep.collect(EXECUTION, deleter=Deleter.PERSON) == ([snapshot], [])


def test_two_who_take_a_vm_from_each_other_use_up_no_try(ground: Ground) -> None:
    """Each has written what makes the other one stop, the one the record, the other one the guard: no move was made."""
    restoring(ground)
    guards, key = ground.stage.table.guards, ground.stage.vm.key
    save = ground.stage.shelf.save

    def taken_right_after(run: Run) -> Run:
        saved = save(run)
        if run.restore is not None and run.restore.pending_kind:
            ground.stage.shelf.save = save  # type: ignore[method-assign]
            guards[key] = replace(guards[key], fence=guards[key].fence + 1)
        return saved

    ground.stage.shelf.save = taken_right_after  # type: ignore[method-assign]
    after = ground.keep()
    assert after.restore is not None
    assert (after.restore.makes, after.restore.rounds) == (0, 0)

    ended = ground.keep(9).restore
    assert ended is not None
    assert (ended.makes, ended.stops, ended.writes, ended.starts, ended.ended) == (1, 1, 1, 1, "ours")


def test_a_leftover_that_azure_works_on_already_alarms_nobody(ground: Ground) -> None:
    """Another keeper, or the one before, has begun to delete it."""
    snapshot = ground.snapshot(expiry=timedelta(0))
    ended = Conclusion(outcome=Outcome.PATCHED, reason="patched", wrong=False)
    ground.run(
        phase=Phase.OVER, leftovers=(snapshot,), expires_at=ground.stage.clock.now(), announced=True, conclusion=ended
    )
    busy = AzureRefused(status=409, code="Conflict", message="a concurrent request")
    ground.stage.azure.refusing["snapshots/delete"] = [busy, busy]

    ground.keep(12)

    assert "UpkeepFailed" not in ground.stage.notebook.metrics
    assert not ground.stage.azure.snapshots
