"""aws:invokeLambdaFunction: what goes to the function, what comes back, what fails the step."""

import base64
import io
import json
from typing import Any

import pytest
from tests.localcloud.automation.surroundings import FakeSurroundings, Scripted, client_error, finish

from localcloud.automation.actions.invoke_function import OUTPUT_LIMIT, InvokeFunction
from localcloud.automation.actions.protocol import REAL_WORK, ActionFailed, FailureStage, FailureType


def answering(payload: bytes, *, status: int = 200, **more: Any) -> tuple[FakeSurroundings, Scripted]:
    client = Scripted(invoke=[{"StatusCode": status, "Payload": io.BytesIO(payload), **more}])
    return FakeSurroundings(clients={"lambda": client}), client


def test_the_root_of_selectors_is_the_functions_own_json() -> None:
    around, client = answering(b'{"Retry": true, "Snapshots": ["s-1"]}')

    done = finish(InvokeFunction(), {"FunctionName": "f", "InputPayload": {"do": "describe"}}, around)

    assert done.root == {"Retry": True, "Snapshots": ["s-1"]}
    assert done.outputs["StatusCode"] == 200
    assert json.loads(done.outputs["Payload"]) == done.root
    assert json.loads(json.loads(done.outputs["OutputPayload"])["Payload"]) == done.root
    sent = client.named("invoke")[0]
    assert json.loads(sent["Payload"]) == {"do": "describe"}
    assert sent["InvocationType"] == "RequestResponse"


def test_input_payload_wins_over_payload() -> None:
    around, client = answering(b"null")

    finish(InvokeFunction(), {"FunctionName": "f", "InputPayload": {"a": 1}, "Payload": '{"b": 2}'}, around)

    assert json.loads(client.named("invoke")[0]["Payload"]) == {"a": 1}


def test_a_payload_goes_out_as_the_text_that_it_is() -> None:
    around, client = answering(b"{}")

    finish(InvokeFunction(), {"FunctionName": "f", "Payload": '{"b":  2}'}, around)

    assert client.named("invoke")[0]["Payload"] == b'{"b":  2}'


def test_text_that_a_function_returns_loses_its_quotes() -> None:
    around, _ = answering(b'"plain words"')

    done = finish(InvokeFunction(), {"FunctionName": "f"}, around)

    assert done.outputs["Payload"] == done.root == "plain words"


def test_qualifier_log_and_client_context_are_handed_on() -> None:
    around, client = answering(b"{}", LogResult="bG9n")
    inputs = {"FunctionName": "f", "Qualifier": "live", "LogType": "Tail", "ClientContext": '{"custom": {}}'}

    done = finish(InvokeFunction(), inputs, around)

    assert done.outputs["LogResult"] == "bG9n"
    sent = client.named("invoke")[0]
    assert (sent["Qualifier"], sent["LogType"]) == ("live", "Tail")
    assert json.loads(base64.b64decode(sent["ClientContext"])) == {"custom": {}}


@pytest.mark.parametrize(("kind", "status"), [("Event", 202), ("DryRun", 204)])
def test_an_invocation_without_answer_has_no_payload(kind: str, status: int) -> None:
    around, client = answering(b"", status=status)

    done = finish(InvokeFunction(), {"FunctionName": "f", "InvocationType": kind}, around)

    assert (done.outputs["StatusCode"], "Payload" in done.outputs, done.root) == (status, False, {})
    assert client.named("invoke")[0]["InvocationType"] == kind


def test_a_failing_function_fails_the_step_and_stays_readable() -> None:
    around, _ = answering(b'{"errorMessage": "no disk", "errorType": "Refused"}', FunctionError="Unhandled")

    with pytest.raises(ActionFailed, match="no disk") as caught:
        finish(InvokeFunction(), {"FunctionName": "f"}, around)

    assert caught.value.outputs["FunctionError"] == "Unhandled"
    assert caught.value.root == {"errorMessage": "no disk", "errorType": "Refused"}
    assert not caught.value.timed_out


def test_more_than_200_kb_fail_the_step() -> None:
    around, _ = answering(json.dumps("x" * OUTPUT_LIMIT).encode())

    with pytest.raises(ActionFailed, match="more than 204800 bytes"):
        finish(InvokeFunction(), {"FunctionName": "f"}, around)


def test_a_function_that_cannot_be_invoked_fails_the_step() -> None:
    around = FakeSurroundings(clients={"lambda": Scripted(invoke=[client_error("TooManyRequestsException", "Invoke")])})

    with pytest.raises(ActionFailed, match="TooManyRequestsException") as caught:
        finish(InvokeFunction(), {"FunctionName": "f"}, around)

    assert caught.value.kind is FailureType.THROTTLING


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"FunctionName": "f", "InvocationType": "Later"},
        {"FunctionName": "f", "InvocationType": "Event", "LogType": "Tail"},
        {"FunctionName": "f", "InputPayload": "{{ Step.NeverRan }}"},
        {"FunctionName": "f", "Payloda": "{}"},
    ],
)
def test_inputs_that_make_no_invocation_are_refused(inputs: dict[str, Any]) -> None:
    with pytest.raises(ActionFailed) as caught:
        InvokeFunction().check(inputs)

    assert caught.value.stage is FailureStage.INPUT_VALIDATION


def test_a_step_waits_five_minutes_at_most_for_its_function() -> None:
    assert InvokeFunction().default_timeout == REAL_WORK["aws:invokeLambdaFunction"]
