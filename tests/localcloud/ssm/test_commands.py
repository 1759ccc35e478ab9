"""Run Command through its API: what is refused, whom it reaches, how time and errors end it."""

import json
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.localcloud.ssm.agent import Agent, fields
from tests.localcloud.ssm.conftest import TRUST

from localcloud.aws.ssm import choices
from localcloud.aws.ssm.commands.book import Commands
from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.clock import SteppedClock
from localcloud.world import World

Fleet = Callable[..., list[Agent]]
HOUR = timedelta(hours=1)


@pytest.fixture
def fleet(ssm: Any, agent: Callable[..., Agent]) -> Fleet:
    """Registered agents with a token and a first heartbeat."""

    def make(count: int, *, key: int = 100, platform: str = "Linux", tags: dict[str, str] | None = None) -> list[Agent]:
        wanted = [{"Key": name, "Value": value} for name, value in (tags or {}).items()]
        activation = ssm.create_activation(IamRole="node-role", RegistrationLimit=count, Tags=wanted)
        made = []
        for number in range(count):
            one = agent(key=key + number)
            assert one.register(activation["ActivationId"], activation["ActivationCode"]).status == 200
            assert one.fetch_token().status == 200
            assert one.full_heartbeat(PlatformType=platform).status == 200
            made.append(one)
        return made

    return make


def messages(one: Agent) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = fields(one.poll())["Messages"]
    return found


def reply(one: Agent, message: dict[str, Any], word: str, *, code: int = 0, out: str = "", name: str = "") -> None:
    """Answer a message as the agent does, with one step."""
    step = {"status": word, "code": code, "output": out, "standardOutput": out, "standardError": ""}
    payload = {
        "documentStatus": word,
        "documentTraceOutput": "",
        "runtimeStatus": {name or "aws:runShellScript": step} if word != "InProgress" else None,
    }
    body = {"MessageId": message["MessageId"], "Payload": json.dumps(payload), "ReplyId": str(uuid.uuid4())}
    assert one.with_token("EC2WindowsMessageDeliveryService.SendReply", body).status == 200


def acknowledge(one: Agent, message: dict[str, Any]) -> None:
    target = "EC2WindowsMessageDeliveryService.AcknowledgeMessage"
    assert one.with_token(target, {"MessageId": message["MessageId"]}).status == 200


def run(one: Agent, word: str = "Success", **told: Any) -> None:
    """Fetch the one message that waits, and answer it."""
    (message,) = messages(one)
    reply(one, message, "InProgress")
    acknowledge(one, message)
    reply(one, message, word, **told)


def send(ssm: Any, *to: Agent, **more: Any) -> str:
    given = {"DocumentName": "AWS-RunShellScript", "Parameters": {"commands": ["true"]}} | more
    if to:
        given["InstanceIds"] = [one.node_id for one in to]
    command_id: str = ssm.send_command(**given)["Command"]["CommandId"]
    return command_id


def command(ssm: Any, command_id: str) -> dict[str, Any]:
    (found,) = ssm.list_commands(CommandId=command_id)["Commands"]
    return dict(found)


def details(ssm: Any, command_id: str) -> dict[str, str]:
    """StatusDetails by node."""
    found = ssm.list_command_invocations(CommandId=command_id)["CommandInvocations"]
    return {one["InstanceId"]: one["StatusDetails"] for one in found}


def code_of(ssm: Any, **params: Any) -> str:
    with pytest.raises(ClientError) as refused:
        ssm.send_command(**params)
    return str(refused.value.response["Error"]["Code"])


def document(ssm: Any, name: str, **changed: Any) -> None:
    content = {
        "schemaVersion": "2.2",
        "mainSteps": [{"action": "aws:runShellScript", "name": "show", "inputs": {"runCommand": ["true"]}}],
    } | changed
    ssm.create_document(Name=name, Content=json.dumps(content), DocumentType="Command")


def test_a_command_runs_and_is_shown(ssm: Any, fleet: Fleet) -> None:
    (one,) = fleet(1)
    command_id = send(ssm, one, Comment="hello", TimeoutSeconds=60)
    pending = ssm.get_command_invocation(CommandId=command_id, InstanceId=one.node_id)
    assert (pending["Status"], pending["ResponseCode"], pending["StandardOutputContent"]) == ("Pending", -1, "")

    run(one, out="well\n")

    done = ssm.get_command_invocation(CommandId=command_id, InstanceId=one.node_id)
    assert (done["Status"], done["ResponseCode"], done["StandardOutputContent"]) == ("Success", 0, "well\n")
    whole = command(ssm, command_id)
    assert (whole["Status"], whole["CompletedCount"], whole["TargetCount"], whole["Comment"]) == (
        "Success",
        1,
        1,
        "hello",
    )
    (shown,) = ssm.list_command_invocations(CommandId=command_id, Details=True)["CommandInvocations"]
    assert [plugin["Output"] for plugin in shown["CommandPlugins"]] == ["well\n"]
    assert not ssm.list_command_invocations(CommandId=command_id)["CommandInvocations"][0].get("CommandPlugins")


def test_the_message_holds_the_whole_document_and_typed_parameters(ssm: Any, fleet: Fleet) -> None:
    (one,) = fleet(1)
    kinds = {
        "text": {"type": "String"},
        "lines": {"type": "StringList"},
        "count": {"type": "Integer"},
        "flag": {"type": "Boolean"},
        "map": {"type": "StringMap"},
        "maps": {"type": "MapList"},
        "rest": {"type": "String", "default": "d"},
    }
    document(ssm, "Typed", parameters=kinds)
    given = {"text": ["t"], "lines": ["a", "b"], "count": ["3"], "flag": ["true"], "map": ['{"k":"v"}'], "maps": ["{}"]}

    send(ssm, one, DocumentName="Typed", Parameters=given)

    (message,) = messages(one)
    payload = json.loads(message["Payload"])
    assert payload["Parameters"] == {
        "text": "t",
        "lines": ["a", "b"],
        "count": 3,
        "flag": True,
        "map": {"k": "v"},
        "maps": [{}],
    }
    assert payload["DocumentContent"]["parameters"] == kinds


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"word": ["a"]},
        {"word": ["c"], "needed": ["n"]},
        {"needed": ["n"], "digits": ["x"]},
        {"needed": ["n"], "digits": ["12x"]},
        {"needed": ["n"], "count": ["three"]},
        {"needed": ["n"], "flag": ["yes"]},
        {"needed": ["n", "m"]},
        {"needed": ["n"], "map": ["[]"]},
        {"needed": ["n"], "list": []},
        {"needed": ["n"], "short": ["abcd"]},
        {"needed": ["n"], "unknown": ["u"]},
    ],
)
def test_parameters_that_the_agent_would_run_anyway_are_refused(given: dict[str, Any], ssm: Any, fleet: Fleet) -> None:
    (one,) = fleet(1)
    declared = {
        "word": {"type": "String", "default": "a", "allowedValues": ["a", "b"]},
        "digits": {"type": "String", "default": "1", "allowedPattern": "[0-9]+"},
        "needed": {"type": "String"},
        "count": {"type": "Integer", "default": 1},
        "flag": {"type": "Boolean", "default": False},
        "map": {"type": "StringMap", "default": {}},
        "list": {"type": "StringList", "default": ["x"], "minItems": 1},
        "short": {"type": "String", "default": "abc", "maxChars": 3},
    }
    document(ssm, "Strict", parameters=declared)

    assert code_of(ssm, InstanceIds=[one.node_id], DocumentName="Strict", Parameters=given) == "InvalidParameters"
    send(ssm, one, DocumentName="Strict", Parameters={"needed": ["n"]})


def test_a_wrong_request_is_refused_with_the_services_codes(ssm: Any, fleet: Fleet) -> None:
    (one,) = fleet(1)
    (windows,) = fleet(1, key=120, platform="Windows")
    known = {"DocumentName": "AWS-RunShellScript", "Parameters": {"commands": ["true"]}}
    ids = [one.node_id]

    assert code_of(ssm, **known) == "InvalidInstanceId"
    assert (
        code_of(ssm, **known, InstanceIds=ids, Targets=[{"Key": "InstanceIds", "Values": ids}]) == "InvalidInstanceId"
    )
    assert code_of(ssm, **known, InstanceIds=["mi-00000000000000000"]) == "InvalidInstanceId"
    assert code_of(ssm, **known, InstanceIds=ids * 2) == "DuplicateInstanceId"
    assert code_of(ssm, **known, InstanceIds=[windows.node_id]) == "UnsupportedPlatformType"
    assert code_of(ssm, InstanceIds=ids, DocumentName="Nothing") == "InvalidDocument"
    assert code_of(ssm, **known, InstanceIds=ids, DocumentVersion="7") == "InvalidDocumentVersion"
    assert code_of(ssm, **known, InstanceIds=ids, DocumentHash="0" * 64) == "InvalidDocument"
    assert code_of(ssm, **known, Targets=[{"Key": "color", "Values": ["red"]}]) == "InvalidParameters"
    assert code_of(ssm, **known, InstanceIds=ids, OutputS3BucketName="bucket") == "NotImplementedByLocalCloud"


def test_targets_choose_by_tag_and_what_does_not_fit_is_told(ssm: Any, fleet: Fleet) -> None:
    production = fleet(2, tags={"Env": "prod", "App": "web"})
    fleet(1, key=110, tags={"Env": "test", "App": "web"})
    (windows,) = fleet(1, key=120, platform="Windows", tags={"Env": "prod", "App": "web"})
    by_tag = [{"Key": "tag:Env", "Values": ["prod"]}, {"Key": "tag-key", "Values": ["App"]}]

    command_id = send(ssm, Targets=by_tag)

    expected = {one.node_id: "Pending" for one in production} | {windows.node_id: "InvalidPlatform"}
    assert details(ssm, command_id) == expected
    for one in production:
        run(one)
    assert command(ssm, command_id)["Status"] == "Success"


def test_a_tag_that_no_node_bears_is_a_success(ssm: Any) -> None:
    command_id = send(ssm, Targets=[{"Key": "tag:Env", "Values": ["nowhere"]}])

    found = command(ssm, command_id)
    assert (found["Status"], found["StatusDetails"]) == ("Success", "NoInstancesInTag")


def test_only_so_many_nodes_run_at_once(ssm: Any, fleet: Fleet) -> None:
    nodes = fleet(3)
    command_id = send(ssm, *nodes, MaxConcurrency="1")
    assert [len(messages(one)) for one in nodes[1:]] == [0, 0]

    run(nodes[0])
    assert [len(messages(one)) for one in nodes[2:]] == [0]
    run(nodes[1])
    run(nodes[2])

    assert command(ssm, command_id)["Status"] == "Success"


def test_errors_beyond_the_limit_stop_the_rest(ssm: Any, fleet: Fleet) -> None:
    nodes = fleet(4)
    command_id = send(ssm, *nodes, MaxConcurrency="1", MaxErrors="1")

    run(nodes[0], "Failed", code=1)
    assert details(ssm, command_id)[nodes[2].node_id] == "Pending"
    run(nodes[1], "TimedOut", code=137)

    found = details(ssm, command_id)
    assert [found[one.node_id] for one in nodes] == ["Failed", "ExecutionTimedOut", "Terminated", "Terminated"]
    whole = command(ssm, command_id)
    assert (whole["Status"], whole["ErrorCount"], whole["CompletedCount"]) == ("Failed", 2, 4)
    assert not messages(nodes[2])


def test_an_offline_node_is_delayed_and_then_timed_out(ssm: Any, fleet: Fleet, clock: SteppedClock) -> None:
    (one,) = fleet(1)
    command_id = send(ssm, one, TimeoutSeconds=600)
    clock.step(choices.DELAYED_AFTER)
    assert details(ssm, command_id)[one.node_id] == "Delayed"
    assert command(ssm, command_id)["Status"] == "Pending"

    clock.step(timedelta(seconds=600) - choices.DELAYED_AFTER)
    one.fetch_token()
    assert not messages(one)
    assert details(ssm, command_id)[one.node_id] == "Delayed"

    clock.step(HOUR)
    assert details(ssm, command_id)[one.node_id] == "DeliveryTimedOut"
    whole = command(ssm, command_id)
    assert (whole["Status"], whole["DeliveryTimedOutCount"], whole["ErrorCount"]) == ("TimedOut", 1, 0)


def test_a_node_that_fetched_a_command_and_never_answers_is_timed_out_too(
    ssm: Any, fleet: Fleet, clock: SteppedClock
) -> None:
    (one,) = fleet(1)
    command_id = send(ssm, one, Parameters={"commands": ["true"], "executionTimeout": ["60"]}, TimeoutSeconds=30)
    (message,) = messages(one)
    reply(one, message, "InProgress")
    acknowledge(one, message)
    clock.step(timedelta(seconds=89))
    assert details(ssm, command_id)[one.node_id] == "InProgress"

    clock.step(timedelta(seconds=1))

    assert details(ssm, command_id)[one.node_id] == "DeliveryTimedOut"
    reply(one, message, "Success", out="late")
    late = ssm.get_command_invocation(CommandId=command_id, InstanceId=one.node_id)
    assert (late["StatusDetails"], late["StandardOutputContent"]) == ("DeliveryTimedOut", "late")


def test_a_message_that_is_not_acknowledged_comes_again(ssm: Any, fleet: Fleet, clock: SteppedClock) -> None:
    (one,) = fleet(1)
    send(ssm, one)
    (first,) = messages(one)
    assert not messages(one)

    clock.step(timedelta(seconds=10))
    (second,) = messages(one)

    assert first["MessageId"] == second["MessageId"]


def test_a_command_that_nobody_fetched_is_cancelled_at_once(ssm: Any, fleet: Fleet) -> None:
    (one,) = fleet(1)
    command_id = send(ssm, one)

    ssm.cancel_command(CommandId=command_id)

    assert details(ssm, command_id)[one.node_id] == "Cancelled"
    assert command(ssm, command_id)["Status"] == "Cancelled"
    assert not messages(one)


def test_a_running_command_is_cancelled_by_the_agent_or_after_a_while_without_it(
    ssm: Any, fleet: Fleet, clock: SteppedClock
) -> None:
    one, two = fleet(2)
    command_id = send(ssm, one, two)
    running = {}
    for each in (one, two):
        (running[each.node_id],) = messages(each)
        reply(each, running[each.node_id], "InProgress")
        acknowledge(each, running[each.node_id])

    ssm.cancel_command(CommandId=command_id)
    assert command(ssm, command_id)["Status"] == "Cancelling"
    (cancel,) = messages(one)
    assert json.loads(cancel["Payload"]) == {"CancelMessageId": running[one.node_id]["MessageId"]}
    reply(one, cancel, "InProgress")
    acknowledge(one, cancel)
    reply(one, running[one.node_id], "Cancelled", code=137)
    assert details(ssm, command_id) == {one.node_id: "Cancelled", two.node_id: "Cancelling"}

    clock.step(choices.CANCEL_GRACE)

    assert command(ssm, command_id)["Status"] == "Cancelled"


def test_a_cancellation_may_name_nodes(ssm: Any, fleet: Fleet) -> None:
    one, two = fleet(2)
    command_id = send(ssm, one, two)

    ssm.cancel_command(CommandId=command_id, InstanceIds=[one.node_id])
    run(two)

    assert details(ssm, command_id) == {one.node_id: "Cancelled", two.node_id: "Success"}
    assert command(ssm, command_id)["Status"] == "Success"
    with pytest.raises(ClientError, match="InvalidInstanceId"):
        ssm.cancel_command(CommandId=command_id, InstanceIds=["mi-00000000000000000"])
    with pytest.raises(ClientError, match="InvalidCommandId"):
        ssm.cancel_command(CommandId=str(uuid.uuid4()))


def test_what_has_ended_is_not_cancelled_afterwards(ssm: Any, fleet: Fleet) -> None:
    """Also not the command as a whole, of which one node was cancelled before."""
    one, two = fleet(2)
    command_id = send(ssm, one, two)
    ssm.cancel_command(CommandId=command_id, InstanceIds=[one.node_id])
    run(two)

    ssm.cancel_command(CommandId=command_id)

    assert command(ssm, command_id)["Status"] == "Success"


def test_a_deregistered_node_cannot_get_its_command(ssm: Any, fleet: Fleet) -> None:
    (one,) = fleet(1)
    command_id = send(ssm, one)

    ssm.deregister_managed_instance(InstanceId=one.node_id)

    assert details(ssm, command_id)[one.node_id] == "Undeliverable"
    assert command(ssm, command_id)["Status"] == "Failed"


def test_a_document_of_several_steps_is_asked_for_by_step(ssm: Any, fleet: Fleet) -> None:
    (one,) = fleet(1)
    command_id = send(ssm, one, DocumentName="AWS-RunPatchBaseline", Parameters={"Operation": ["Scan"]})
    asked = {"CommandId": command_id, "InstanceId": one.node_id}

    with pytest.raises(ClientError, match="InvalidPluginName"):
        ssm.get_command_invocation(**asked)
    with pytest.raises(ClientError, match="InvalidPluginName"):
        ssm.get_command_invocation(**asked, PluginName="PatchAtari")
    assert ssm.get_command_invocation(**asked, PluginName="PatchLinux")["Status"] == "Pending"
    run(one, "Success", name="PatchLinux", out="patched")
    assert ssm.get_command_invocation(**asked, PluginName="PatchLinux")["StandardOutputContent"] == "patched"


def test_an_invocation_cannot_be_found_at_once_if_the_world_lags(
    ssm: Any, fleet: Fleet, world: World, clock: SteppedClock
) -> None:
    (one,) = fleet(1)
    world.part(Commands).invocation_lag = timedelta(seconds=2)
    command_id = send(ssm, one)
    asked = {"CommandId": command_id, "InstanceId": one.node_id}
    with pytest.raises(ClientError, match="InvocationDoesNotExist"):
        ssm.get_command_invocation(**asked)
    assert not ssm.list_command_invocations(CommandId=command_id)["CommandInvocations"]

    clock.step(timedelta(seconds=2))

    assert ssm.get_command_invocation(**asked)["Status"] == "Pending"
    with pytest.raises(ClientError, match="InvocationDoesNotExist"):
        ssm.get_command_invocation(CommandId=str(uuid.uuid4()), InstanceId=one.node_id)


def test_commands_are_listed_by_what_is_asked_for(ssm: Any, fleet: Fleet, clock: SteppedClock) -> None:
    one, two = fleet(2)
    first = send(ssm, one)
    run(one)
    clock.step(timedelta(minutes=1))
    middle = f"{clock.now():%Y-%m-%dT%H:%M:%SZ}"
    clock.step(timedelta(minutes=1))
    second = send(ssm, two)

    def listed(**asked: Any) -> list[str]:
        return [one["CommandId"] for one in ssm.list_commands(**asked)["Commands"]]

    def filtered(key: str, value: str) -> list[str]:
        return listed(Filters=[{"key": key, "value": value}])

    assert listed() == [second, first]
    assert listed(InstanceId=one.node_id) == [first]
    assert filtered("Status", "Success") == [first]
    assert filtered("ExecutionStage", "Executing") == [second]
    assert filtered("InvokedAfter", middle) == [second]
    assert filtered("InvokedBefore", middle) == [first]
    assert filtered("DocumentName", "AWS-RunPatchBaseline") == []
    page = ssm.list_commands(MaxResults=1)
    assert [it["CommandId"] for it in ssm.list_commands(MaxResults=1, NextToken=page["NextToken"])["Commands"]] == [
        first
    ]
    with pytest.raises(ClientError, match="InvalidFilterKey"):
        ssm.list_command_invocations(Filters=[{"key": "ExecutionStage", "value": "Complete"}])


def test_a_poll_that_waits_gets_the_command_when_it_is_sent(
    ssm: Any, fleet: Fleet, nodes: ManagedNodes, world: World
) -> None:
    """Nobody holds a thread: the poll's answer is finished when the command comes."""
    (one,) = fleet(1)
    nodes.poll_hold = HOUR
    wakes: list[str] = []
    end = world.part(Commands).outbox.wait(one.node_id, lambda: wakes.append("now"), until=world.clock.now() + HOUR)

    send(ssm, one)

    assert wakes
    end()
    assert len(messages(one)) == 1


def test_a_role_needs_the_document_and_every_node(
    world: World, client: Callable[..., Any], role: Callable[..., None], fleet: Fleet, ssm: Any
) -> None:
    from localcloud.principals import Kind, Principal

    allowed, other = fleet(2)
    role("runner", TRUST)
    region = f"arn:aws:ssm:us-east-1:{world.account}:managed-instance"
    statements = [
        {
            "Effect": "Allow",
            "Action": "ssm:SendCommand",
            "Resource": "arn:aws:ssm:us-east-1::document/AWS-RunShellScript",
        },
        {"Effect": "Allow", "Action": "ssm:SendCommand", "Resource": f"{region}/{allowed.node_id}"},
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    world.backend("iam").put_role_policy(role_name="runner", policy_name="run", policy_json=policy)
    arn = f"arn:aws:sts::{world.account}:assumed-role/runner/s"
    issued = world.credentials.issue(Principal(kind=Kind.ROLE, arn=arn, role_name="runner", session="s"))
    runner = client("ssm")
    runner._request_signer._credentials = type(runner._request_signer._credentials)(
        issued.access_key, issued.secret_key, issued.session_token or None
    )

    send(runner, allowed)
    with pytest.raises(ClientError, match="AccessDenied"):
        send(runner, other)
    both = [{"Key": "InstanceIds", "Values": [allowed.node_id, other.node_id]}]
    command_id = send(runner, Targets=both)

    assert details(ssm, command_id) == {allowed.node_id: "Pending", other.node_id: "AccessDenied"}
