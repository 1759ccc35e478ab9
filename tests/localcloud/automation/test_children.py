"""Runbooks that start runbooks: outputs, failures, five levels, targets in a step; limits, tokens, history."""

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from tests.localcloud.automation.stand import LIMIT, Stand, api

from localcloud.automation.errors import DocumentNotFound, ExecutionNotFound, LimitExceeded, TokenMismatch
from localcloud.automation.ports import Limits, Starter, StartRequest
from localcloud.automation.records import Status

CHILD = """
parameters: {Name: {type: String, default: nobody}, Does: {type: String, default: ok}}
outputs: [Work.Name]
mainSteps:
- name: Work
  action: aws:executeAwsApi
  inputs: {Service: test, Api: '{{ Does }}', Name: '{{ Name }}'}
  outputs: [{Name: Name, Selector: $.Name}]
"""
PARENT = """
- name: Run
  action: aws:executeAutomation
  onFailure: Continue
  inputs: {DocumentName: Child, RuntimeParameters: {Name: [ann], Does: DOES}}
- name: Then
  action: aws:executeAwsApi
  inputs: {Service: test, Api: ok, Seen: '{{ Run.Output }}', Status: '{{ Run.Status }}', Id: '{{ Run.ExecutionId }}'}
"""


def test_a_childs_outputs_come_back(stand: Stand) -> None:
    stand.document("Child", CHILD)
    done = stand.run(PARENT.replace("DOES", "ok"), starter=Starter(arn="arn:me"))
    (child,) = stand.engine.children(done.id)

    assert done.status is Status.SUCCESS
    inputs = stand.step(done.id, "Then").inputs
    assert (inputs["Seen"], inputs["Status"], inputs["Id"]) == (["ann"], "Success", child.id)
    assert (child.parent_id, child.executed_by) == (done.id, "arn:me")


def test_a_childs_failure_is_the_steps_and_stays_readable(stand: Stand) -> None:
    stand.document("Child", CHILD)
    done = stand.run(PARENT.replace("DOES", "fail"))

    assert stand.step(done.id, "Run").status is Status.FAILED
    assert stand.step(done.id, "Then").inputs["Status"] == "Failed"


@pytest.mark.parametrize("name", ["Nobody", "'{{ Nothing.Output }}'"])
def test_a_child_that_cannot_start_fails_the_step(name: str, stand: Stand) -> None:
    done = stand.run(f"- name: Run\n  action: aws:executeAutomation\n  inputs: {{DocumentName: {name}}}\n")

    assert done.status is Status.FAILED


def test_five_levels_and_no_more(stand: Stand) -> None:
    """A runbook that starts itself."""
    stand.document("Child", "- name: Again\n  action: aws:executeAutomation\n  inputs: {DocumentName: Child}\n")
    top = stand.engine.start(StartRequest(document_name="Child"))
    done = stand.finish(top)

    assert done.status is Status.FAILED
    assert len(list(stand.engine.list())) == 6


def test_a_step_may_start_many_under_rate_control(stand: Stand) -> None:
    stand.document("Child", CHILD)
    done = stand.run(
        "- name: Run\n  action: aws:executeAutomation\n  inputs:\n    DocumentName: Child\n"
        "    TargetParameterName: Name\n    MaxErrors: 0\n"
        "    Targets: [{Key: ParameterValues, Values: [a, b, c]}]\n"
    )
    (middle,) = stand.engine.children(done.id)

    assert done.status is Status.SUCCESS
    assert sorted(child.target for child in stand.engine.children(middle.id)) == ["a", "b", "c"]


def test_parents_that_wait_for_children_leave_them_room(make_stand: Callable[..., Stand]) -> None:
    """A hundred parents at the limit would otherwise wait for children that can never begin."""
    stand = make_stand(limits=Limits(concurrent=2))
    stand.document("Child", CHILD)
    text = PARENT.replace("DOES", "ok")
    started = [stand.start(text) for _ in range(6)]

    assert {stand.finish(one).status for one in started} == {Status.SUCCESS}


def test_more_than_the_limit_wait_in_order(make_stand: Callable[..., Stand]) -> None:
    stand = make_stand(limits=Limits(concurrent=2, queued=3))
    poll = api("Poll", "again")
    started = [stand.start(poll) for _ in range(5)]
    stand.engine.settle(LIMIT)

    def statuses() -> list[str]:
        return [stand.engine.get(one).status.value for one in started]

    assert statuses() == ["InProgress"] * 2 + ["Pending"] * 3
    with pytest.raises(LimitExceeded):
        stand.start(poll)
    stand.advance(10)
    assert statuses() == ["Success"] * 2 + ["InProgress"] * 2 + ["Pending"]


def test_executions_that_sleep_do_not_count(make_stand: Callable[..., Stand]) -> None:
    stand = make_stand(limits=Limits(concurrent=1, blocked=2))
    sleep = "- name: Rest\n  action: aws:sleep\n  inputs: {Duration: PT1H}\n"
    started = [stand.start(sleep) for _ in range(4)]
    stand.engine.settle(LIMIT)

    assert [stand.engine.get(one).status.value for one in started] == ["InProgress"] * 3 + ["Pending"]


def test_a_client_token_starts_once(stand: Stand) -> None:
    stand.document("Child", CHILD)
    token = str(uuid4())
    request = StartRequest(document_name="Child", client_token=token)
    first = stand.engine.start(request)

    assert stand.engine.start(StartRequest(document_name="Child", client_token=token.upper())) == first
    with pytest.raises(TokenMismatch):
        stand.engine.start(StartRequest(document_name="Child", client_token=token, parameters={"Name": ["x"]}))
    with pytest.raises(DocumentNotFound):
        stand.engine.start(StartRequest(document_name="None", client_token=str(uuid4())))


def test_history_is_kept_for_thirty_days(stand: Stand) -> None:
    old = stand.run(api("One"))
    stand.advance(timedelta(days=29).total_seconds())
    newer = stand.run(api("One"))
    stand.advance(timedelta(days=2).total_seconds())
    stand.run(api("One"))

    assert stand.engine.get(newer.id)
    with pytest.raises(ExecutionNotFound):
        stand.engine.get(old.id)
    assert len(list(stand.engine.list())) == 2


def test_a_client_token_is_forgotten_with_its_execution(stand: Stand) -> None:
    token = str(uuid4())
    old = stand.run(api("One"), client_token=token)
    stand.advance(timedelta(days=31).total_seconds())
    new = stand.run(api("One"), client_token=token)

    assert new.id != old.id
    assert new.status is Status.SUCCESS


@pytest.mark.parametrize("waits", ["aws:pause", "aws:approve"])
def test_the_late_end_of_a_child_is_no_signal(waits: str, stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    """It was cancelled as its step timed out, and ends while another step waits for people."""
    stand.document("Child", "- name: Rest\n  action: aws:sleep\n  inputs: {Duration: PT1H}\n")
    run = PARENT[: PARENT.index("- name: Then")].replace(", RuntimeParameters: {Name: [ann], Does: DOES}", "")
    text = run.replace("onFailure: Continue", "onFailure: Continue\n  timeoutSeconds: 60")
    execution = stand.start(f"{text}- name: Wait\n  action: {waits}\n  inputs: {{Approvers: [me]}}\n")
    stand.engine.settle(LIMIT)
    stand.advance(61)
    (child,) = stand.engine.children(execution)

    assert child.status is Status.CANCELLED
    assert stand.statuses(execution) == {"Run": "TimedOut", "Wait": "Waiting"}
    assert not caplog.records


def test_waiting_has_an_end(stand: Stand) -> None:
    execution = stand.start(api("Poll", "again"))

    with pytest.raises(TimeoutError):
        stand.engine.wait(execution, 0.01)
