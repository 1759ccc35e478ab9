"""People: approvals, pauses, runs step by step."""

import pytest
from tests.localcloud.automation.stand import LIMIT, Stand, api

from localcloud.automation.errors import SignalRefused, StepNotFound
from localcloud.automation.records import Mode, Status
from localcloud.automation.signals import Signal, SignalType

ACCOUNT = "arn:aws:iam::123456789012"
SESSIONS = "arn:aws:sts::123456789012:assumed-role"
APPROVE = (
    f"- name: Ask\n  action: aws:approve\n  inputs:\n    Approvers: [ann, '{ACCOUNT}:role/ops', '{SESSIONS}/dev/bob']\n"
    "    MinRequiredApprovals: 2\n"
)


def decision(kind: SignalType, arn: str, comment: str = "") -> Signal:
    return Signal(type=kind, sender_arn=arn, comment=comment)


def waiting(stand: Stand, text: str, **options: object) -> str:
    execution = stand.start(text, **options)
    stand.engine.settle(LIMIT)
    return execution


def test_enough_approvals_let_the_run_go_on(stand: Stand) -> None:
    execution = waiting(stand, APPROVE + api("Next"))
    assert stand.engine.get(execution).status is Status.WAITING
    assert stand.step(execution, "Ask").status is Status.WAITING
    assert stand.step(execution, "Ask").outputs["ApprovalStatus"] == "Waiting"
    stand.engine.signal(execution, decision(SignalType.APPROVE, f"{ACCOUNT}:user/team/ann", "fine"))
    assert stand.engine.get(execution).status is Status.WAITING
    stand.engine.signal(execution, decision(SignalType.APPROVE, f"{SESSIONS}/ops/anybody"))
    done = stand.finish(execution)

    assert done.status is Status.SUCCESS
    outputs = stand.step(execution, "Ask").outputs
    assert outputs["ApprovalStatus"] == "Approved"
    assert outputs["ApproverDecisions"][0] == {"Approver": "ann", "Decision": "Approved", "Comment": "fine"}


def test_one_rejection_fails_the_step(stand: Stand) -> None:
    execution = waiting(stand, APPROVE + api("Next"))
    stand.engine.signal(execution, decision(SignalType.REJECT, f"{SESSIONS}/dev/bob"))
    done = stand.finish(execution)

    assert done.status is Status.FAILED
    assert stand.step(execution, "Ask").outputs["ApprovalStatus"] == "Rejected"


@pytest.mark.parametrize(
    "arn", [f"{ACCOUNT}:user/eve", f"{SESSIONS}/dev/eve", f"{SESSIONS}/opsx/ops", f"{ACCOUNT}:role/ann"]
)
def test_nobody_else_approves(arn: str, stand: Stand) -> None:
    execution = waiting(stand, APPROVE)

    with pytest.raises(SignalRefused):
        stand.engine.signal(execution, decision(SignalType.APPROVE, arn))


def test_nobody_approves_twice_but_the_operator_for_others(stand: Stand) -> None:
    execution = waiting(stand, APPROVE)
    ann = decision(SignalType.APPROVE, f"{ACCOUNT}:user/ann")
    stand.engine.signal(execution, ann)
    with pytest.raises(SignalRefused):
        stand.engine.signal(execution, ann)
    stand.engine.signal(execution, Signal(type=SignalType.APPROVE, sender_may_all=True))

    assert stand.finish(execution).status is Status.SUCCESS


def test_an_approval_that_never_comes_times_out_after_a_week(stand: Stand) -> None:
    execution = stand.start(APPROVE)
    began = stand.clock.now()
    done = stand.finish(execution)

    assert done.status is Status.TIMED_OUT
    assert done.ended_at is not None
    assert (done.ended_at - began).days == 7


def test_a_pause_waits_for_resume(stand: Stand) -> None:
    execution = waiting(stand, "- name: Hold\n  action: aws:pause\n  inputs: {}\n" + api("Next"))
    assert stand.engine.get(execution).status is Status.WAITING
    with pytest.raises(SignalRefused):
        stand.engine.signal(execution, Signal(type=SignalType.APPROVE))
    with pytest.raises(SignalRefused):
        stand.engine.signal(execution, Signal(type=SignalType.RESUME, step_name="Next"))
    with pytest.raises(StepNotFound):
        stand.engine.signal(execution, Signal(type=SignalType.RESUME, step_name="None"))
    stand.engine.signal(execution, Signal(type=SignalType.RESUME, step_name="Hold"))

    assert stand.finish(execution).status is Status.SUCCESS


def test_an_interactive_run_waits_before_each_step(stand: Stand) -> None:
    execution = waiting(stand, api("One") + api("Two"), mode=Mode.INTERACTIVE)
    for name in ("One", "Two"):
        shown = stand.engine.get(execution)
        assert (shown.status, shown.current_step) == (Status.WAITING, name)
        assert name not in stand.action.calls
        stand.engine.signal(execution, Signal(type=SignalType.START_STEP, step_name=name))
        stand.engine.settle(LIMIT)

    assert stand.engine.get(execution).status is Status.SUCCESS


def test_only_the_awaited_step_can_be_started(stand: Stand) -> None:
    execution = waiting(stand, api("One") + api("Two"), mode=Mode.INTERACTIVE)

    with pytest.raises(SignalRefused):
        stand.engine.signal(execution, Signal(type=SignalType.START_STEP, step_name="Two"))
    with pytest.raises(StepNotFound):
        stand.engine.signal(execution, Signal(type=SignalType.START_STEP, step_name="None"))


@pytest.mark.parametrize("kind", [SignalType.RESUME, SignalType.APPROVE, SignalType.REVOKE])
def test_a_run_that_waits_for_nobody_refuses_signals(kind: SignalType, stand: Stand) -> None:
    execution = waiting(stand, "- name: Rest\n  action: aws:sleep\n  inputs: {Duration: PT1H}\n")

    with pytest.raises(SignalRefused):
        stand.engine.signal(execution, Signal(type=kind))
