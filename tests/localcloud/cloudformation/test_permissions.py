"""What resource handlers ask of whoever deploys: as published schemas have it, asked of the caller, and recorded."""

import json
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

from localcloud.aws.cloudformation.model import Made
from localcloud.aws.cloudformation.permissions import TABLE, Site, published, rights
from localcloud.aws.cloudformation.registry import registry
from localcloud.aws.cloudformation.stacks import Stacks
from localcloud.cloud import LocalCloud
from localcloud.principals import Credentials, Kind

# What network types share, whether a type's own handlers ask for it or not.
_LOOKS = ("DescribeInstances", "DescribeSecurityGroups", "DescribeSubnets", "DescribeVpcEndpoints", "DescribeVpcs")
# Read without importing the package, which takes a second.
_SCHEMAS = Path(str(distribution("cfn-lint").locate_file("cfnlint/data/schemas")))
_TEMPLATE = {
    "Resources": {
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            },
        }
    }
}
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def _schema(type_name: str) -> dict[str, Any]:
    index = json.loads((_SCHEMAS / "providers" / "us-east-1.json").read_text(encoding="utf-8"))
    found: dict[str, Any] = json.loads(
        (_SCHEMAS / "resources" / f"{index[type_name]}.json").read_text(encoding="utf-8")
    )
    return found


@pytest.mark.parametrize("type_name", sorted(TABLE))
def test_handlers_ask_for_what_their_schema_lists(type_name: str) -> None:
    """A newer schema that lists more fails here: the deployer's policy may have to grow."""
    handlers = _schema(type_name)["handlers"]

    listed = {name: set(content["permissions"]) for name, content in handlers.items() if name != "list"}

    assert {name: set(actions) for name, actions in published()[type_name].items()} == listed


@pytest.mark.parametrize("type_name", sorted(TABLE))
def test_what_is_left_out_is_listed_and_for_a_property_that_there_is(type_name: str) -> None:
    listed = {action for actions in published()[type_name].values() for action in actions}
    there = json.dumps(_schema(type_name).get("definitions", {}))
    there += json.dumps(_schema(type_name)["properties"])

    for name, actions in TABLE[type_name].unless_given.items():
        assert set(actions.split()) <= listed, name
        assert not name or f'"{name}"' in there, name
    assert TABLE[type_name].elsewhere.keys() - {f"ec2:{each}" for each in _LOOKS} <= listed


def test_only_types_that_can_be_made_are_in_the_table() -> None:
    assert TABLE.keys() <= registry().keys()
    assert TABLE.keys() == published().keys()


def test_a_property_that_is_given_at_any_depth_brings_its_rights_along() -> None:
    made = Made(id="t", attributes={"Arn": "arn:aws:dynamodb:eu-central-1:111122223333:table/t"})
    key: dict[str, Any] = {"SSESpecification": {"KMSMasterKeyId": "alias/mine"}}

    def asked(properties: dict[str, Any]) -> set[str]:
        site = Site(made=made, properties=properties, account="111122223333", region="eu-central-1")
        return {right.action for right in rights("AWS::DynamoDB::Table", "create", site)}

    assert asked(key) - asked({}) == {
        "kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:ListAliases", "kms:Encrypt", "kms:RevokeGrant"
    }  # fmt: skip


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(in_process=True) as cloud:
        yield cloud


def _made_by(cloud: LocalCloud, name: str, credentials: Credentials | None) -> str:
    """Why the stack failed; empty if it stands."""
    client = cloud.client("cloudformation", credentials=credentials)
    made = client.create_stack(StackName=name, TemplateBody=json.dumps(_TEMPLATE), OnFailure="DO_NOTHING")["StackId"]
    cloud.world.part(Stacks).settle()
    events = client.describe_stack_events(StackName=made)["StackEvents"]
    failed = [each["ResourceStatusReason"] for each in events if each["ResourceStatus"] == "CREATE_FAILED"]
    return str(failed[-1]) if failed else ""


def _whoever_may(cloud: LocalCloud, name: str, *actions: str, **condition: Any) -> Credentials:
    iam = cloud.client("iam")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(_TRUST))
    stacks = {"Effect": "Allow", "Action": "cloudformation:*", "Resource": "*"}
    rest = {"Effect": "Allow", "Action": list(actions), "Resource": "*", "Condition": condition}
    document = json.dumps({"Version": "2012-10-17", "Statement": [stacks, rest]})
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document)
    return cloud.assumed(name)


def test_a_handler_may_do_what_its_caller_may_do_and_no_more(cloud: LocalCloud) -> None:
    """The call itself, then what the service's handler reads beside it."""
    without_reading = [each for each in _needed() if each != "dynamodb:DescribeContinuousBackups"]

    refused = _made_by(cloud, "nothing", _whoever_may(cloud, "nothing", "dynamodb:ListTables"))
    blind = _made_by(cloud, "blind", _whoever_may(cloud, "blind", *without_reading))

    assert "assumed-role/nothing/somebody is not authorized to perform: dynamodb:CreateTable" in refused
    assert "is not authorized to perform: dynamodb:DescribeContinuousBackups on resource: arn:aws:dynamodb" in blind
    assert _made_by(cloud, "enough", _whoever_may(cloud, "enough", *_needed())) == ""


def test_rights_that_hold_through_cloudformation_alone_open_nothing_else(cloud: LocalCloud) -> None:
    through = {"ForAnyValue:StringEquals": {"aws:CalledVia": "cloudformation.amazonaws.com"}}
    who = _whoever_may(cloud, "through", *_needed(), **through)

    assert _made_by(cloud, "through", who) == ""
    dynamodb = cloud.client("dynamodb", credentials=who)
    with pytest.raises(dynamodb.exceptions.ClientError, match="not authorized to perform: dynamodb:DescribeTable"):
        dynamodb.describe_table(TableName="any")


def test_what_cloudformation_does_for_the_operator_is_recorded_with_its_rights(cloud: LocalCloud) -> None:
    mark = len(cloud.world.calls)

    assert _made_by(cloud, "roots", None) == ""

    inner = [one for one in cloud.world.calls.since(mark) if one.principal.via]
    assert ("dynamodb", "CreateTable", ("dynamodb:CreateTable",)) in {
        (one.service, one.operation, one.actions) for one in inner
    }
    (handler,) = [one for one in inner if one.operation == "AWS::DynamoDB::Table create"]
    assert set(handler.actions) == set(_needed())
    assert {one.principal.kind for one in inner} == {Kind.ROOT}


def _needed() -> list[str]:
    made = Made(id="t", attributes={"Arn": "arn:aws:dynamodb:eu-central-1:111122223333:table/t"})
    site = Site(made=made, properties={}, account="111122223333", region="eu-central-1")
    return [right.action for right in rights("AWS::DynamoDB::Table", "create", site)]
