"""Heartbeats, polls and what DescribeInstanceInformation makes of them; tags; the tier setting."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.localcloud.ssm.agent import Agent, fields, private_key, public_text, refusal
from tests.localcloud.ssm.test_activations import refused

from localcloud.aws.endpoint import AwsEndpoint
from localcloud.aws.ssm.activations import Activation, Activations
from localcloud.aws.ssm.node import PingStatus
from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.aws.ssm.settings import ServiceSettings
from localcloud.clock import SteppedClock, SystemClock
from localcloud.world import World

TIER = "/ssm/managed-instance/activation-tier"
Fleet = Callable[..., list[Agent]]


@pytest.fixture
def fleet(agent: Callable[..., Agent], activations: Activations) -> Fleet:
    """`fleet(n)`: n registered agents with tokens, of one activation."""

    def make(count: int, **options: Any) -> list[Agent]:
        activation = activations.create(region="us-east-1", iam_role="node-role", registration_limit=count, **options)
        return [enrolled(agent(key=number), activation) for number in range(count)]

    return make


def enrolled(one: Agent, activation: Activation) -> Agent:
    assert one.register(activation.id, activation.code).status == 200
    assert one.fetch_token().status == 200
    return one


def described(ssm: Any, **params: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ssm.describe_instance_information(**params)["InstanceInformationList"]
    return found


def ids(found: list[dict[str, Any]]) -> set[str]:
    return {it["InstanceId"] for it in found}


def where(key: str, *values: str) -> dict[str, Any]:
    return {"Key": key, "Values": list(values)}


def test_a_node_is_listed_with_what_its_heartbeats_said(ssm: Any, fleet: Fleet, clock: SteppedClock) -> None:
    (one,) = fleet(1, default_instance_name="web")
    one.heartbeat()
    one.full_heartbeat()

    (shown,) = described(ssm)
    assert abs(shown.pop("LastPingDateTime") - clock.now()) < timedelta(seconds=1)
    assert abs(shown.pop("RegistrationDate") - clock.now()) < timedelta(seconds=1)
    assert len(shown.pop("ActivationId")) == 36
    assert shown == {
        "InstanceId": one.node_id,
        "PingStatus": "Online",
        "AgentVersion": "3.3.0.0",
        "IsLatestVersion": True,
        "PlatformType": "Linux",
        "PlatformName": "Debian GNU/Linux",
        "PlatformVersion": "12",
        "IamRole": "node-role",
        "ResourceType": "ManagedInstance",
        "Name": "web",
        "IPAddress": "10.77.0.5",
        "ComputerName": "node1.example.test",
        "SourceId": one.node_id,
        "SourceType": "AWS::SSM::ManagedInstance",
    }


def test_a_short_heartbeat_leaves_alone_what_the_full_one_said(fleet: Fleet, nodes: ManagedNodes) -> None:
    (one,) = fleet(1)
    one.full_heartbeat(SSMConnectionChannel="ec2messages")
    one.heartbeat()

    said = nodes.get(one.node_id).heartbeat
    assert (said.platform_name, said.connection_channel) == ("Debian GNU/Linux", "ec2messages")


def test_a_node_that_never_spoke_is_listed_as_lost(ssm: Any, fleet: Fleet) -> None:
    fleet(1)

    (shown,) = described(ssm)
    assert shown["PingStatus"] == "ConnectionLost"
    assert "LastPingDateTime" not in shown


def test_a_silent_node_loses_its_connection_at_the_threshold_and_regains_it(
    ssm: Any, fleet: Fleet, nodes: ManagedNodes, clock: SteppedClock
) -> None:
    nodes.heartbeat_threshold = timedelta(minutes=6)
    nodes.token_lifetime = timedelta(days=1)
    (one,) = fleet(1)
    one.full_heartbeat()

    clock.step(timedelta(minutes=6) - timedelta(microseconds=1))
    assert described(ssm)[0]["PingStatus"] == "Online"
    clock.step(timedelta(microseconds=1))
    assert described(ssm)[0]["PingStatus"] == "ConnectionLost"
    one.heartbeat()
    assert described(ssm)[0]["PingStatus"] == "Online"


@pytest.mark.parametrize(("scale", "status"), [(1.0, PingStatus.ONLINE), (1e-12, PingStatus.CONNECTION_LOST)])
def test_the_threshold_is_scaled_by_the_worlds_clock(scale: float, status: PingStatus, tmp_path: Path) -> None:
    world = World(
        account="210987654321",
        region="us-east-1",
        clock=SystemClock(scale=scale),
        state_dir=tmp_path,
        serving=AwsEndpoint,
    )
    nodes = world.part(ManagedNodes)
    node = nodes.seed(node_id="mi-00000000000000000", fingerprint="f", public_key=public_text(private_key(1)))

    assert nodes.ping_status(nodes.heard(node.id, {})) is status


def test_a_node_speaks_for_itself_only(fleet: Fleet, client: Callable[..., Any], world: World) -> None:
    one, two = fleet(2)
    own = one.node_id
    one.node_id = two.node_id

    assert refusal(one.heartbeat()) == (400, "AccessDeniedException")
    assert refusal(one.poll()) == (400, "AccessDeniedException")
    one.node_id = own
    assert one.heartbeat().status == 200
    assert world.part(ManagedNodes).get(two.node_id).last_ping is None


def test_there_are_no_associations(fleet: Fleet) -> None:
    (one,) = fleet(1)

    asked = {"InstanceId": one.node_id, "MaxResults": 20}
    assert fields(one.with_token("AmazonSSM.ListInstanceAssociations", asked)) == {"Associations": []}


def test_filters_of_both_forms_find_nodes_by_every_key(
    ssm: Any, fleet: Fleet, nodes: ManagedNodes, activations: Activations
) -> None:
    one, two = fleet(2)
    one.full_heartbeat()
    two.heartbeat(AgentVersion="3.2.0.0", PlatformType="Windows")
    nodes.set_source(two.node_id, source_id="guid-2", source_type="Microsoft.Compute/virtualMachines")
    (activation,) = activations.live()
    both = {one.node_id, two.node_id}
    expected = {
        ("InstanceIds", one.node_id): {one.node_id},
        ("PingStatus", "Online"): both,
        ("PingStatus", "ConnectionLost"): set(),
        ("PlatformTypes", "Windows"): {two.node_id},
        ("ActivationIds", activation.id): both,
        ("IamRole", "node-role"): both,
        ("IamRole", "other"): set(),
        ("ResourceType", "ManagedInstance"): both,
        ("AssociationStatus", "Success"): set(),
        ("AgentVersion", "3.2.0.0"): {two.node_id},
    }
    newer = {("SourceIds", "guid-2"): {two.node_id}, ("SourceTypes", "AWS::SSM::ManagedInstance"): {one.node_id}}

    for (key, value), found in (expected | newer).items():
        assert ids(described(ssm, Filters=[where(key, value)])) == found, key
    for (key, value), found in expected.items():
        assert ids(described(ssm, InstanceInformationFilterList=[{"key": key, "valueSet": [value]}])) == found, key
    joined = [where("PlatformTypes", "Linux", "Windows"), where("AgentVersion", "3.2.0.0")]
    assert ids(described(ssm, Filters=joined)) == {two.node_id}


def test_tags_find_nodes_by_key_and_by_value(ssm: Any, fleet: Fleet) -> None:
    (web,) = fleet(1, tags=(("pool", "web"),))

    assert ids(described(ssm, Filters=[where("tag-key", "pool")])) == {web.node_id}
    assert ids(described(ssm, Filters=[where("tag:pool", "db", "web")])) == {web.node_id}
    assert described(ssm, Filters=[where("tag:pool", "db")]) == []
    assert described(ssm, Filters=[where("tag-key", "web")]) == []


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"Filters": [where("InstanceIds", "mi-00000000000000000")]}, "InvalidInstanceId"),
        ({"Filters": [where("Colour", "red")]}, "InvalidFilterKey"),
        ({"Filters": [where("tag:a", "b"), where("PingStatus", "Online")]}, "InvalidFilterKey"),
        ({"Filters": [where("PingStatus", "Perhaps")]}, "InvalidInstanceInformationFilterValue"),
        (
            {
                "Filters": [where("PingStatus", "Online")],
                "InstanceInformationFilterList": [{"key": "PingStatus", "valueSet": ["Online"]}],
            },
            "ValidationException",
        ),
        ({"NextToken": "forged"}, "InvalidNextToken"),
        ({"MaxResults": 4}, "ValidationException"),
        ({"MaxResults": 51}, "ValidationException"),
    ],
)
def test_what_the_service_refuses_is_refused(
    params: dict[str, Any], code: str, client: Callable[..., Any], fleet: Fleet
) -> None:
    fleet(1)

    assert refused(client("ssm", validate=False).describe_instance_information, **params)[0] == code


def test_pages_show_every_node_once(ssm: Any, nodes: ManagedNodes, clock: SteppedClock, fleet: Fleet) -> None:
    (one,) = fleet(1)
    known = nodes.get(one.node_id)
    for number in range(12):
        clock.step(timedelta(seconds=1))
        nodes.seed(node_id=f"mi-{number:017x}", fingerprint="f", public_key=known.public_key)

    pages = list(ssm.get_paginator("describe_instance_information").paginate(PaginationConfig={"PageSize": 5}))

    assert [len(page["InstanceInformationList"]) for page in pages] == [5, 5, 3]
    assert len(set().union(*(ids(page["InstanceInformationList"]) for page in pages))) == 13


def test_deregistering_forgets_the_node_and_an_unknown_one_is_refused(
    ssm: Any, fleet: Fleet, client: Callable[..., Any], activations: Activations
) -> None:
    (one,) = fleet(1)
    elsewhere = client("ssm", region="eu-central-1")
    assert refused(elsewhere.deregister_managed_instance, InstanceId=one.node_id)[0] == "InvalidInstanceId"

    ssm.deregister_managed_instance(InstanceId=one.node_id)

    assert described(ssm) == []
    assert refused(ssm.deregister_managed_instance, InstanceId=one.node_id) == ("InvalidInstanceId", one.node_id)
    assert [it.registrations for it in activations.redemptions()] == [1]


def test_tags_of_a_node_are_added_replaced_and_removed(ssm: Any, fleet: Fleet) -> None:
    (one,) = fleet(1, tags=(("pool", "web"), ("owner", "ops")))
    named = {"ResourceType": "ManagedInstance", "ResourceId": one.node_id}

    ssm.add_tags_to_resource(**named, Tags=[{"Key": "pool", "Value": "db"}, {"Key": "zone", "Value": "1"}])
    ssm.remove_tags_from_resource(**named, TagKeys=["owner", "never-there"])

    tags = {tag["Key"]: tag["Value"] for tag in ssm.list_tags_for_resource(**named)["TagList"]}
    assert tags == {"pool": "db", "zone": "1"}
    many = [{"Key": f"k{number}", "Value": ""} for number in range(49)]
    assert refused(ssm.add_tags_to_resource, **named, Tags=many)[0] == "TooManyTagsError"
    stranger = named | {"ResourceId": "mi-00000000000000000"}
    assert refused(ssm.list_tags_for_resource, **stranger)[0] == "InvalidResourceId"


def test_tags_of_other_resources_are_motos(ssm: Any) -> None:
    ssm.put_parameter(Name="/a", Value="1", Type="String")
    named = {"ResourceType": "Parameter", "ResourceId": "/a"}

    ssm.add_tags_to_resource(**named, Tags=[{"Key": "x", "Value": "y"}, {"Key": "z", "Value": ""}])
    ssm.remove_tags_from_resource(**named, TagKeys=["z"])

    assert ssm.list_tags_for_resource(**named)["TagList"] == [{"Key": "x", "Value": "y"}]
    missing = named | {"ResourceId": "/none"}
    assert refused(ssm.list_tags_for_resource, **missing)[0] in {"InvalidResourceId", "ParameterNotFound"}


def test_the_tier_is_standard_until_it_is_changed_and_after_a_reset(ssm: Any, world: World) -> None:
    assert ssm.get_service_setting(SettingId=TIER)["ServiceSetting"]["SettingValue"] == "standard"

    ssm.update_service_setting(SettingId=TIER, SettingValue="advanced")

    changed = ssm.get_service_setting(SettingId=TIER)["ServiceSetting"]
    assert (changed["SettingValue"], changed["Status"]) == ("advanced", "Customized")
    assert changed["ARN"] == f"arn:aws:ssm:us-east-1:{world.account}:servicesetting{TIER}"
    assert ssm.get_service_setting(SettingId=changed["ARN"])["ServiceSetting"] == changed
    reset = ssm.reset_service_setting(SettingId=TIER)["ServiceSetting"]
    assert (reset["SettingValue"], reset["Status"]) == ("standard", "Default")
    assert world.part(ServiceSettings).tier("us-east-1").value == "standard"


def test_settings_that_are_not_here_are_refused_by_name(ssm: Any) -> None:
    code, message = refused(ssm.get_service_setting, SettingId="/ssm/parameter-store/high-throughput-enabled")

    assert code == "NotImplementedByLocalCloud"
    assert "high-throughput-enabled" in message
    assert refused(ssm.get_service_setting, SettingId="/no/such")[0] == "ServiceSettingNotFound"
    assert refused(ssm.update_service_setting, SettingId=TIER, SettingValue="gold")[0] == "ValidationException"


def test_an_idle_poll_is_answered_with_an_empty_list(fleet: Fleet) -> None:
    (one,) = fleet(1)

    answer = fields(one.poll())

    assert set(answer) == {"Destination", "MessagesRequestId", "Messages"}
    assert (answer["Destination"], answer["Messages"]) == (one.node_id, [])


def test_a_poll_is_held_until_its_time_has_passed_or_the_world_stops(
    fleet: Fleet, nodes: ManagedNodes, clock: SteppedClock, world: World
) -> None:
    one, two = fleet(2)
    nodes.poll_hold = timedelta(seconds=15)
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(one.poll().status))
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    for _ in range(100):  # a thread that was slow to begin waits from a later time on
        clock.step(timedelta(seconds=15))
        thread.join(0.05)
        if not thread.is_alive():
            break
    assert answers == [200]

    thread = threading.Thread(target=lambda: answers.append(two.poll().status))
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    world.close()
    thread.join(60)
    assert answers == [200, 200]


def test_polls_over_the_bound_are_answered_at_once(fleet: Fleet, nodes: ManagedNodes) -> None:
    (one,) = fleet(1)
    nodes.poll_hold, nodes.held_polls = timedelta(hours=1), 0

    started = time.monotonic()
    assert one.poll().status == 200
    assert time.monotonic() - started < 60


@pytest.mark.parametrize(
    ("operation", "more"),
    [
        ("AcknowledgeMessage", {}),
        ("SendReply", {"Payload": "{}", "ReplyId": "r"}),
        ("FailMessage", {"FailureType": "NoHandlerExists"}),
    ],
)
def test_a_message_that_was_never_sent_is_unknown(operation: str, more: dict[str, str], fleet: Fleet) -> None:
    one, two = fleet(2)
    target = f"EC2WindowsMessageDeliveryService.{operation}"

    own = one.with_token(target, {"MessageId": f"aws.ssm.c1.{one.node_id}"} | more)
    others = one.with_token(target, {"MessageId": f"aws.ssm.c1.{two.node_id}"} | more)

    assert refusal(own) == (400, "InvalidMessageId")
    assert refusal(others) == (400, "AccessDeniedException")


def test_a_switched_off_control_channel_is_refused_in_the_words_that_make_the_agent_poll(
    fleet: Fleet, nodes: ManagedNodes
) -> None:
    (one,) = fleet(1)
    nodes.control_channel = False
    body = {"MessageSchemaVersion": "1.0", "RequestId": "151a975e-b621-4695-a29c-81f3fc491c55"}

    response = one.with_token("", body, path=f"/v1/control-channel/{one.node_id}")

    assert response.status == 403
    assert b"<AccessDeniedException>" in response.body


def test_a_node_whose_role_lacks_the_policy_is_refused_the_channel_in_the_same_words(
    fleet: Fleet, world: World
) -> None:
    (one,) = fleet(1)
    world.backend("iam").detach_role_policy(
        policy_arn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore", role_name="node-role"
    )

    response = one.with_token("", {"MessageSchemaVersion": "1.0"}, path=f"/v1/control-channel/{one.node_id}")

    assert response.status == 403
    assert b"<AccessDeniedException>" in response.body


def test_ping_statuses_are_the_services_words() -> None:
    assert {status.value for status in PingStatus} == {"Online", "ConnectionLost"}
