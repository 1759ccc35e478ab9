"""Actions that call AWS: names in any casing, responses as boto3 has them, failures in the words of the service."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from tests.localcloud.automation.surroundings import FakeSurroundings, Scripted, a_call, client_error, finish

from localcloud.automation.actions.api import as_json
from localcloud.automation.actions.assert_property import AssertProperty
from localcloud.automation.actions.clients import client_config
from localcloud.automation.actions.create_tags import CreateTags
from localcloud.automation.actions.execute_aws_api import ExecuteAwsApi
from localcloud.automation.actions.protocol import ActionFailed, Again, FailureStage, FailureType
from localcloud.automation.actions.throttling import RetriesThrottling
from localcloud.automation.actions.wait_property import WaitForProperty
from localcloud.clock import SteppedClock
from localcloud.cloud import LocalCloud

GUIDE = "Please refer to Automation Service Troubleshooting Guide for more diagnosis details."


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(in_process=True) as running:
        yield running


@pytest.fixture
def around(cloud: LocalCloud) -> FakeSurroundings:
    return FakeSurroundings(
        clients={name: cloud.client(name, config=client_config(name)) for name in ("ec2", "ssm", "lambda", "s3")},
        account=cloud.world.account,
    )


@pytest.mark.parametrize(
    ("service", "api"),
    [("ssm", "PutParameter"), ("SSM", "put_parameter"), ("Ssm", "putParameter")],
)
def test_service_and_api_are_found_in_any_casing(
    around: FakeSurroundings, cloud: LocalCloud, service: str, api: str
) -> None:
    name = f"/casing/{service}/{api}"

    done = finish(
        ExecuteAwsApi(), {"Service": service, "Api": api, "Name": name, "Value": "v", "Type": "String"}, around
    )

    assert done.root["Version"] == 1
    assert done.root["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert cloud.client("ssm").get_parameter(Name=name)["Parameter"]["Value"] == "v"


def test_a_response_is_json_whatever_boto3_makes_of_it(around: FakeSurroundings) -> None:
    finish(
        ExecuteAwsApi(), {"Service": "ssm", "Api": "PutParameter", "Name": "/t", "Value": "v", "Type": "String"}, around
    )

    found = finish(ExecuteAwsApi(), {"Service": "ssm", "Api": "GetParameter", "Name": "/t"}, around).root["Parameter"]

    assert isinstance(found["LastModifiedDate"], str)
    assert found["LastModifiedDate"].startswith("20")
    assert as_json({"Blob": b"\x00\x01"}) == {"Blob": "AAE="}


def test_a_refusal_of_the_api_fails_the_step_in_its_words(around: FakeSurroundings) -> None:
    with pytest.raises(ActionFailed) as caught:
        finish(ExecuteAwsApi(), {"Service": "ssm", "Api": "GetParameter", "Name": "/no/such"}, around)

    assert str(caught.value).startswith(
        "Step fails when it is executing/canceling action. An error occurred (ParameterNotFound) when calling the"
        " GetParameter operation"
    )
    assert str(caught.value).endswith(GUIDE)
    assert caught.value.stage is FailureStage.INVOCATION
    assert not caught.value.timed_out


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"Service": "ssm"}, "Api"),
        ({"Service": "nosuch", "Api": "X"}, "nosuch is not a service"),
        ({"Service": "ssm", "Api": "NoSuchThing"}, "ssm has no API NoSuchThing"),
        ({"Service": "ssm", "Api": "GetParameter", "Nmae": "/t"}, "Nmae"),
        ({"Service": "ssm", "Api": "DescribeInstanceInformation", "MaxResults": "{{ Step.Number }}"}, "MaxResults"),
        ({"Service": "lambda", "Api": "Invoke", "FunctionName": "f"}, "streaming"),
        ({"Service": "s3", "Api": "GetObject", "Bucket": "b", "Key": "k"}, "streaming"),
    ],
)
def test_what_no_call_can_be_made_of_fails_as_an_input(
    around: FakeSurroundings, inputs: dict[str, Any], told: str
) -> None:
    with pytest.raises(ActionFailed, match=told) as caught:
        finish(ExecuteAwsApi(), inputs, around)

    assert caught.value.stage is FailureStage.INPUT_VALIDATION


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("AccessDeniedException", FailureType.PERMISSION),
        ("UnauthorizedOperation", FailureType.PERMISSION),
        ("ThrottlingException", FailureType.THROTTLING),
        ("RequestLimitExceeded", FailureType.THROTTLING),
        ("ValidationException", FailureType.ACTION),
    ],
)
def test_the_failure_type_follows_the_error_code(code: str, kind: FailureType) -> None:
    around = FakeSurroundings(clients={"ssm": Scripted(get_parameter=[client_error(code, "GetParameter")])})

    with pytest.raises(ActionFailed) as caught:
        finish(ExecuteAwsApi(), {"Service": "ssm", "Api": "GetParameter", "Name": "n"}, around)

    assert caught.value.kind is kind


def test_clients_do_not_repeat_anything_by_themselves(around: FakeSurroundings, cloud: LocalCloud) -> None:
    before = len(cloud.world.calls)
    cloud.faults.throttle("ssm", "GetParameter", count=1)
    with pytest.raises(ActionFailed) as caught:
        finish(ExecuteAwsApi(), {"Service": "ssm", "Api": "GetParameter", "Name": "/t"}, around)

    assert caught.value.kind is FailureType.THROTTLING
    assert cloud.world.calls.count(since=before)[("ssm", "GetParameter")] == 1


def test_throttled_turns_are_repeated_within_the_accounts_limit() -> None:
    refusal = client_error("ThrottlingException", "GetParameter")
    client = Scripted(get_parameter=[refusal, refusal, {"Parameter": {"Value": "v"}}])
    around = FakeSurroundings(clients={"ssm": client})
    action = RetriesThrottling(ExecuteAwsApi(), limit=lambda: timedelta(seconds=60))

    done = finish(action, {"Service": "ssm", "Api": "GetParameter", "Name": "n"}, around)

    assert done.root == {"Parameter": {"Value": "v"}}
    assert len(client.calls) == 3


@pytest.mark.parametrize(("limit", "calls"), [(0, 1), (4, 3)])
def test_beyond_the_limit_throttling_fails_the_attempt(limit: int, calls: int) -> None:
    client = Scripted(get_parameter=[client_error("ThrottlingException", "GetParameter")])
    action = RetriesThrottling(ExecuteAwsApi(), limit=lambda: timedelta(seconds=limit))

    with pytest.raises(ActionFailed) as caught:
        finish(
            action, {"Service": "ssm", "Api": "GetParameter", "Name": "n"}, FakeSurroundings(clients={"ssm": client})
        )

    assert caught.value.kind is FailureType.THROTTLING
    assert len(client.calls) == calls


LOOK = {"Service": "ec2", "Api": "DescribeThings", "ThingIds": ["t-1"], "PropertySelector": "$.Things[0].State"}


def ec2(*states: Any) -> FakeSurroundings:
    answers = [each if isinstance(each, Exception) else {"Things": [{"State": each}]} for each in states]
    return FakeSurroundings(clients={"ec2": Scripted(describe_things=answers)})


@pytest.mark.parametrize(
    ("value", "desired"),
    [("running", ["stopped", "running"]), (True, ["True"]), (True, [True]), (3, ["3"]), (3, [3]), (["only"], ["only"])],
)
def test_an_assertion_holds_for_any_of_the_desired_values(value: Any, desired: list[Any]) -> None:
    finish(AssertProperty(), {**LOOK, "DesiredValues": desired}, ec2(value))


@pytest.mark.parametrize(
    ("value", "desired"), [("running", ["Running"]), (True, ["true"]), (["a", "b"], ["a"]), ("", ["x"])]
)
def test_an_assertion_fails_on_any_other_value(value: Any, desired: list[Any]) -> None:
    with pytest.raises(ActionFailed, match="desired values") as caught:
        finish(AssertProperty(), {**LOOK, "DesiredValues": desired}, ec2(value))

    assert caught.value.kind is FailureType.VERIFICATION


def test_a_property_that_is_not_there_has_no_desired_value() -> None:
    around = FakeSurroundings(clients={"ec2": Scripted(describe_things=[{"Things": []}])})

    with pytest.raises(ActionFailed, match="no such value"):
        finish(AssertProperty(), {**LOOK, "DesiredValues": ["running"]}, around)


def test_waiting_looks_again_until_the_value_is_there_through_errors_too() -> None:
    around = ec2("pending", client_error("InternalError", "DescribeThings"), "pending", "running")
    assert isinstance(around.clock, SteppedClock)
    began = around.clock.now()

    finish(WaitForProperty(), {**LOOK, "DesiredValues": ["running"]}, around)

    assert around.clock.now() - began == timedelta(seconds=15)
    assert WaitForProperty().default_timeout == timedelta(hours=1)


def test_waiting_does_not_wait_for_inputs_to_become_right(around: FakeSurroundings) -> None:
    inputs = {**LOOK, "Api": "DescribeNothing", "DesiredValues": ["x"]}

    with pytest.raises(ActionFailed, match="has no API"):
        WaitForProperty().begin(a_call("aws:waitForAwsResourceProperty", inputs, around))


def test_a_waiting_step_gives_its_worker_back() -> None:
    turn = WaitForProperty().begin(a_call("x", {**LOOK, "DesiredValues": ["running"]}, ec2("pending")))

    assert isinstance(turn, Again)


def test_tags_are_put_on_ec2_resources_and_parameters(around: FakeSurroundings, cloud: LocalCloud) -> None:
    ec2_client, ssm = cloud.client("ec2"), cloud.client("ssm")
    vpc = ec2_client.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ssm.put_parameter(Name="/tagged", Value="v", Type="String")
    tags = [{"Key": "Owner", "Value": "patching"}]

    finish(CreateTags(), {"ResourceIds": [vpc], "Tags": tags}, around)
    finish(CreateTags(), {"ResourceType": "Parameter", "ResourceIds": ["/tagged"], "Tags": tags}, around)

    assert ec2_client.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["Tags"] == tags
    assert ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId="/tagged")["TagList"] == tags


@pytest.mark.parametrize(
    "inputs",
    [
        {"ResourceIds": ["a"]},
        {"ResourceIds": ["a"], "Tags": [{"Key": "k"}]},
        {"ResourceIds": ["a", "b"], "ResourceType": "ManagedInstance", "Tags": [{"Key": "k", "Value": "v"}]},
        {"ResourceIds": ["a"], "ResourceType": "Bucket", "Tags": [{"Key": "k", "Value": "v"}]},
    ],
)
def test_tags_that_cannot_be_put_are_refused_as_inputs(inputs: dict[str, Any]) -> None:
    with pytest.raises(ActionFailed) as caught:
        CreateTags().check(inputs)

    assert caught.value.stage is FailureStage.INPUT_VALIDATION
