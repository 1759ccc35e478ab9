"""aws:runCommand: sends, looks, and judges by the aggregated status."""

import json
from datetime import timedelta
from typing import Any

import pytest
from tests.localcloud.automation.surroundings import FakeSurroundings, Scripted, a_call, client_error, finish

from localcloud.automation.actions.protocol import ActionFailed, Again, FailureStage
from localcloud.automation.actions.registry import actions
from localcloud.automation.actions.run_command import RunCommand
from localcloud.automation.actions.throttling import RetriesThrottling

ID = "0a1b2c3d-0000-4000-8000-000000000002"
ONE = {
    "DocumentName": "AWS-RunShellScript",
    "InstanceIds": ["mi-0123456789abcdef0"],
    "Parameters": {"commands": "true"},
}


def commanding(*statuses: str, plugins: list[dict[str, Any]] | None = None) -> tuple[FakeSurroundings, Scripted]:
    client = Scripted(
        send_command=[{"Command": {"CommandId": ID, "Status": "Pending"}}],
        list_commands=[{"Commands": [{"CommandId": ID, "Status": each}]} for each in statuses] or [{"Commands": []}],
        list_command_invocations=[{"CommandInvocations": [{"CommandPlugins": plugins or []}]}],
        cancel_command=[{}],
    )
    return FakeSurroundings(clients={"ssm": client}), client


def plugin(output: str, code: int = 0) -> dict[str, Any]:
    return {"Name": "aws:runShellScript", "ResponseCode": code, "Output": output}


def test_the_step_ends_with_its_command() -> None:
    around, client = commanding("Pending", "InProgress", "Success", plugins=[plugin("hello\n")])

    done = finish(RunCommand(), ONE, around)

    expected = {"Status": "Success", "ResponseCode": 0, "Output": "hello\n", "CommandId": ID}
    assert done.root == expected
    assert {name: value for name, value in done.outputs.items() if name != "OutputPayload"} == expected
    assert json.loads(done.outputs["OutputPayload"]) == expected
    assert len(client.named("list_commands")) == 3
    assert client.named("send_command")[0]["Parameters"] == {"commands": ["true"]}


def test_inputs_reach_the_command_as_the_api_wants_them() -> None:
    around, client = commanding("Success")
    inputs = {
        "DocumentName": "D",
        "Targets": [{"Key": "tag:Env", "Values": ["prod"]}],
        "Parameters": {"flag": True, "number": 7, "list": ["a", 1], "map": {"a": 1}},
        "MaxConcurrency": 5,
        "TimeoutSeconds": "600",
        "Comment": "",
    }

    finish(RunCommand(), inputs, around)

    assert client.named("send_command")[0] == {
        "DocumentName": "D",
        "Targets": [{"Key": "tag:Env", "Values": ["prod"]}],
        "Parameters": {"flag": ["true"], "number": ["7"], "list": ["a", "1"], "map": ['{"a":1}']},
        "MaxConcurrency": "5",
        "TimeoutSeconds": 600,
    }


@pytest.mark.parametrize(
    "inputs",
    [
        {"DocumentName": "D", "InstanceIds": ["mi-1", "mi-2"]},
        {"DocumentName": "D", "Targets": [{"Key": "tag:Env", "Values": ["prod"]}]},
    ],
)
def test_of_several_nodes_no_output_is_shown(inputs: dict[str, Any]) -> None:
    around, client = commanding("Success", plugins=[plugin("secret")])

    done = finish(RunCommand(), inputs, around)

    assert done.root == {"Status": "Success", "CommandId": ID}
    assert not client.named("list_command_invocations")


def test_one_node_may_also_be_a_target() -> None:
    around, _ = commanding("Success", plugins=[plugin("out")])

    done = finish(RunCommand(), {"DocumentName": "D", "Targets": [{"Key": "InstanceIds", "Values": ["mi-1"]}]}, around)

    assert done.root["Output"] == "out"


def test_a_document_of_several_steps_has_no_response_code() -> None:
    around, _ = commanding("Success", plugins=[plugin(""), plugin("patched\n"), plugin("")])

    done = finish(RunCommand(), ONE, around)

    assert "ResponseCode" not in done.root
    assert done.root["Output"] == "patched\n"


@pytest.mark.parametrize("status", ["Failed", "TimedOut", "Cancelled"])
def test_any_other_end_fails_the_step_and_stays_readable(status: str) -> None:
    around, _ = commanding(status, plugins=[plugin("no space left", 1)])

    with pytest.raises(ActionFailed) as caught:
        finish(RunCommand(), ONE, around)

    failure = caught.value
    assert str(failure).startswith(
        f"Step fails when it is verifying the command has completed. Command {ID} returns unexpected invocation "
        f"result: {{Status=[{status}], ResponseCode=[1], Output=[no space left], OutputPayload=["
    )
    assert str(failure).endswith(
        f"CommandId=[{ID}]}}. Please refer to Automation Service Troubleshooting Guide for more diagnosis details."
    )
    assert failure.outputs["Status"] == status
    assert failure.root["Output"] == "no space left"
    assert not failure.timed_out


def test_a_command_that_the_service_refuses_fails_the_step() -> None:
    client = Scripted(send_command=[client_error("InvalidInstanceId", "SendCommand")])

    with pytest.raises(ActionFailed, match="InvalidInstanceId"):
        finish(RunCommand(), ONE, FakeSurroundings(clients={"ssm": client}))


def test_a_command_that_is_not_listed_yet_is_waited_for() -> None:
    around, client = commanding()
    call = a_call("aws:runCommand", ONE, around)

    turn = RunCommand().begin(call)
    assert isinstance(turn, Again)

    assert isinstance(RunCommand().resume(call, turn.state), Again)
    assert client.named("list_commands") == [{"CommandId": ID}]


@pytest.mark.parametrize(("cancels", "calls"), [(False, []), (True, [{"CommandId": ID}])])
def test_whether_a_cancelled_step_cancels_its_command_is_a_choice(cancels: bool, calls: list[Any]) -> None:
    around, client = commanding("InProgress")
    action, call = RunCommand(cancels=cancels), a_call("aws:runCommand", ONE, around)
    turn = action.begin(call)
    assert isinstance(turn, Again)

    action.cancel(call, turn.state)

    assert client.named("cancel_command") == calls
    assert isinstance(actions()["aws:runCommand"], RetriesThrottling)


def test_throttling_while_looking_does_not_send_the_command_again() -> None:
    around, client = commanding("Success", plugins=[plugin("done")])
    refused = client_error("ThrottlingException", "ListCommands")
    client._answers["list_commands"].insert(0, refused)

    done = finish(RetriesThrottling(RunCommand(), limit=lambda: timedelta(minutes=1)), ONE, around)

    assert done.root["Output"] == "done"
    assert len(client.named("send_command")) == 1


@pytest.mark.parametrize(
    "inputs",
    [
        {"InstanceIds": ["mi-1"]},
        {"DocumentName": "D"},
        {"DocumentName": "D", "InstanceIds": ["mi-1"], "Parameters": "{{ x }}"},
        {"DocumentName": "D", "InstanceIds": ["mi-1"], "Command": "x"},
    ],
)
def test_inputs_without_document_or_nodes_are_refused(inputs: dict[str, Any]) -> None:
    with pytest.raises(ActionFailed) as caught:
        RunCommand().check(inputs)

    assert caught.value.stage is FailureStage.INPUT_VALIDATION
