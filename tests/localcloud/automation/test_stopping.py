"""Stopping: cancelled at every point, onCancel and its two minutes, completed, one step alone; late answers."""

from collections.abc import Callable

import pytest
from tests.localcloud.automation.stand import LIMIT, Stand, api

from localcloud.automation.errors import CannotStop, ExecutionNotFound, StepNotFound
from localcloud.automation.ports import Limits
from localcloud.automation.records import Mode, Status
from localcloud.automation.signals import Signal, SignalType, StopType

SLEEP = "- name: {name}\n  action: aws:sleep\n  onCancel: {cancel}\n  inputs: {{Duration: PT1H}}\n"
PAUSE = "- name: {name}\n  action: aws:pause\n  onCancel: {cancel}\n  inputs: {{}}\n"
APPROVE = "- name: {name}\n  action: aws:approve\n  onCancel: {cancel}\n  inputs: {{Approvers: [me]}}\n"
POLL = "- name: {name}\n  action: aws:executeAwsApi\n  onCancel: {cancel}\n  inputs: {{Service: x, Api: again}}\n"
CHILD = "- name: {name}\n  action: aws:executeAutomation\n  onCancel: {cancel}\n  inputs: {{DocumentName: Child}}\n"
WAITING = {"sleep": SLEEP, "pause": PAUSE, "approve": APPROVE, "poll": POLL, "child": CHILD}


def running(stand: Stand, text: str) -> str:
    stand.document("Child", SLEEP.format(name="Long", cancel="Abort"))
    execution = stand.start(text)
    stand.engine.settle(LIMIT)
    return execution


@pytest.mark.parametrize("kind", WAITING)
def test_cancel_stops_the_step_and_runs_what_on_cancel_names(kind: str, stand: Stand) -> None:
    text = api("Before") + WAITING[kind].format(name="Wait", cancel="step:Clean") + api("Skipped") + api("Clean")
    execution = running(stand, text)
    stand.engine.stop(execution)
    done = stand.finish(execution)

    assert done.status is Status.CANCELLED
    assert stand.statuses(execution) == {
        "Before": "Success",
        "Wait": "Cancelled",
        "Skipped": "Pending",
        "Clean": "Success",
    }


@pytest.mark.parametrize("kind", WAITING)
def test_cancel_without_on_cancel_ends_at_once(kind: str, stand: Stand) -> None:
    execution = running(stand, WAITING[kind].format(name="Wait", cancel="Abort") + api("Next"))
    stand.engine.stop(execution)
    stand.engine.settle(LIMIT)

    assert stand.engine.get(execution).status is Status.CANCELLED
    assert stand.statuses(execution) == {"Wait": "Cancelled", "Next": "Pending"}
    assert not stand.engine.scheduler.next_due()


def test_cancel_reaches_the_child(stand: Stand) -> None:
    execution = running(stand, CHILD.format(name="Wait", cancel="Abort"))
    (child,) = stand.engine.children(execution)
    stand.engine.stop(execution)
    stand.engine.settle(LIMIT)

    assert stand.engine.get(child.id).status is Status.CANCELLED


def test_cancel_tells_the_action_what_it_began(stand: Stand) -> None:
    execution = running(stand, POLL.format(name="Wait", cancel="Abort"))
    stand.engine.stop(execution)
    stand.engine.settle(LIMIT)

    assert stand.action.cancelled == [("Wait", "begun")]


def test_a_queued_execution_is_cancelled_before_it_begins(make_stand: Callable[..., Stand]) -> None:
    stand = make_stand(limits=Limits(concurrent=1))
    first = running(stand, POLL.format(name="Wait", cancel="Abort"))
    second = running(stand, POLL.format(name="Wait", cancel="Abort"))
    assert stand.engine.get(second).status is Status.PENDING
    stand.engine.stop(second)

    assert stand.engine.get(second).status is Status.CANCELLED
    assert stand.statuses(second) == {"Wait": "Pending"}
    assert stand.engine.get(first).status is Status.IN_PROGRESS


def test_what_is_over_or_stopping_cannot_be_stopped(stand: Stand) -> None:
    done = stand.run(api("One"))
    with pytest.raises(CannotStop):
        stand.engine.stop(done.id)
    execution = running(
        stand, POLL.format(name="Wait", cancel="step:Clean") + POLL.format(name="Clean", cancel="Abort")
    )
    stand.engine.stop(execution)
    with pytest.raises(CannotStop):
        stand.engine.stop(execution)
    with pytest.raises(ExecutionNotFound):
        stand.engine.stop("none")


def test_a_failure_before_does_not_hide_the_cancel(stand: Stand) -> None:
    execution = running(stand, api("Bad", "fail", onFailure="step:Wait") + SLEEP.format(name="Wait", cancel="Abort"))
    stand.engine.stop(execution)

    assert stand.finish(execution).status is Status.CANCELLED


def test_a_failure_while_cancelling_does_not_either(stand: Stand) -> None:
    text = SLEEP.format(name="Wait", cancel="step:Clean") + api("Clean", "fail", onFailure="step:More") + api("More")
    execution = running(stand, text)
    stand.engine.stop(execution)

    assert stand.finish(execution).status is Status.CANCELLED
    assert stand.action.calls == ["Clean", "More"]


def test_the_on_cancel_flow_has_two_minutes_in_total(stand: Stand) -> None:
    """Thirteen polls of ten seconds each: the flow is cut in the twelfth."""
    polls = "".join(POLL.format(name=f"Clean{number}", cancel="Abort") for number in range(14))
    execution = running(stand, SLEEP.format(name="Wait", cancel="step:Clean0") + polls)
    before = stand.clock.now()
    stand.engine.stop(execution)
    done = stand.finish(execution)

    assert done.status is Status.CANCELLED
    assert done.ended_at is not None
    assert (done.ended_at - before).total_seconds() == 120
    statuses = stand.statuses(execution)
    assert [statuses[f"Clean{number}"] for number in (10, 11, 12)] == ["Success", "Cancelled", "Pending"]
    assert stand.engine.scheduler.next_due() is None


@pytest.mark.parametrize(
    ("cancel", "calls", "loop"),
    [
        ("step:Outside", ["Outside"], "Exited"),
        ("step:Inside", ["Inside", "Behind"], "Cancelled"),
        ("Abort", [], "Cancelled"),
    ],
)
def test_cancel_inside_a_loop(cancel: str, calls: list[str], loop: str, stand: Stand) -> None:
    body = SLEEP.format(name="Wait", cancel=cancel) + api("Inside") + api("Behind")
    text = (
        "- name: Loop\n  action: aws:loop\n  isEnd: true\n  inputs:\n    Iterators: [a, b]\n    Steps:\n"
        + "".join(f"    {line}\n" for line in body.splitlines())
        + api("Outside")
    )
    execution = running(stand, text)
    stand.engine.stop(execution)
    done = stand.finish(execution)

    assert (done.status, stand.action.calls) == (Status.CANCELLED, calls)
    assert stand.step(execution, "Loop").status.value == loop


def test_complete_lets_the_step_end_and_begins_no_other(stand: Stand) -> None:
    execution = running(stand, POLL.format(name="Wait", cancel="Abort") + api("Next"))
    stand.engine.stop(execution, StopType.COMPLETE)
    done = stand.finish(execution)

    assert done.status is Status.SUCCESS
    assert stand.statuses(execution) == {"Wait": "Success", "Next": "Pending"}


def test_complete_ends_an_interactive_run_between_steps(stand: Stand) -> None:
    execution = stand.start(api("One"), mode=Mode.INTERACTIVE)
    stand.engine.settle(LIMIT)
    stand.engine.stop(execution, StopType.COMPLETE)

    assert stand.engine.get(execution).status is Status.SUCCESS


def test_one_step_can_be_stopped_alone(stand: Stand) -> None:
    text = SLEEP.format(name="Wait", cancel="Abort").replace("onCancel: Abort", "onFailure: Continue") + api("Next")
    execution = running(stand, text)
    wait = stand.step(execution, "Wait")
    stand.engine.signal(execution, Signal(type=SignalType.STOP_STEP, step_execution_id=wait.id))

    assert stand.finish(execution).status is Status.SUCCESS
    assert stand.statuses(execution) == {"Wait": "Cancelled", "Next": "Success"}
    with pytest.raises(StepNotFound):
        stand.engine.signal(execution, Signal(type=SignalType.STOP_STEP, step_execution_id="none"))


def test_a_cancelled_call_that_answers_late_is_dropped_and_undone(stand: Stand) -> None:
    execution = stand.start(api("Hang", "block", onCancel="step:Clean") + api("Skipped") + api("Clean"))
    assert stand.action.blocked.wait(LIMIT)
    stand.engine.stop(execution)
    done = stand.engine.wait(execution, LIMIT)
    stand.action.release.set()
    assert stand.action.undone.wait(LIMIT)

    assert done.status is Status.CANCELLED
    assert stand.statuses(execution) == {"Hang": "Cancelled", "Skipped": "Pending", "Clean": "Success"}
    # Told once while it hung, and once more when its late answer said what it had begun.
    assert stand.action.cancelled == [("Hang", None), ("Hang", "late")]


def test_an_attempt_times_out_while_its_worker_hangs(make_stand: Callable[..., Stand]) -> None:
    """Even the only worker: another thread takes its place."""
    stand = make_stand(workers=1)
    execution = stand.start(
        api("Hang", "block", timeoutSeconds=30, onFailure="step:After") + api("Skipped") + api("After")
    )
    assert stand.action.blocked.wait(LIMIT)
    stand.advance(31)
    done = stand.engine.wait(execution, LIMIT)
    stand.action.release.set()
    assert stand.action.undone.wait(LIMIT)

    assert done.status is Status.TIMED_OUT
    assert stand.statuses(execution) == {"Hang": "TimedOut", "Skipped": "Pending", "After": "Success"}
    assert stand.action.cancelled == [("Hang", None), ("Hang", "late")]
    assert stand.engine.scheduler.threads <= 2


def test_a_timeout_is_for_each_attempt(stand: Stand) -> None:
    execution = stand.start(api("Slow", "again", timeoutSeconds=4, maxAttempts=3))
    begun = stand.clock.now()
    done = stand.finish(execution)

    assert done.status is Status.TIMED_OUT
    assert done.ended_at is not None
    assert (done.ended_at - begun).total_seconds() == 12
    assert stand.step(execution, "Slow").attempts == 3
    assert stand.action.cancelled == [("Slow", "begun")] * 3


def test_a_limit_of_real_work_holds_even_over_a_longer_timeout(stand: Stand) -> None:
    """The action of an API call ends after 25 seconds, whatever timeoutSeconds says."""
    execution = stand.start(api("Hang", "block", timeoutSeconds=3600))
    assert stand.action.blocked.wait(LIMIT)
    stand.advance(26)

    assert stand.engine.wait(execution, LIMIT).status is Status.TIMED_OUT
