"""Which rights a call needs: the table, row by row (tests/cases/iam-rights.json)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from localcloud.aws.call import Call
from localcloud.aws.iam import actions
from localcloud.aws.iam.rights.model import Right, StoredParameter
from localcloud.principals import Kind, Principal
from localcloud.wire import Request

HERE = "us-east-1:123456789012"
ROLE = "arn:aws:iam::123456789012:role/nodes/web"
KEY = f"arn:aws:kms:{HERE}:key/k-1"
CODE = f"arn:aws:ssm:{HERE}:parameter/m/code"
TAGS = [{"Key": "Team", "Value": "web"}]
TAG_KEYS = {"aws:RequestTag/Team": "web", "aws:TagKeys": ("Team",)}

CASES = [
    pytest.param(case, id=f"{case['call']} {json.dumps(case['params'])}")
    for case in json.loads((Path(__file__).resolve().parents[2] / "cases" / "iam-rights.json").read_text())
]


class Known:
    """A directory with one of each."""

    def role_arn(self, name: str) -> str | None:
        return ROLE if name.rsplit("/", 1)[-1] == "web" else None

    def parameter(self, name: str) -> StoredParameter | None:
        secure = StoredParameter(name="/m/code", secure=True, key_id="k-1", tags={"Stage": "prod"})
        plain = StoredParameter(name="/m/plain", secure=False, key_id="", tags={})
        return {"/m/code": secure, "/m/plain": plain}.get(name)

    def parameters_below(self, path: str, *, recursive: bool) -> Sequence[StoredParameter]:
        return [found for name in ("/m/code", "/m/plain") if (found := self.parameter(name)) and path == "/m"]

    def document_tags(self, name: str) -> Mapping[str, str]:
        return {}

    def node_tags(self, node: str) -> Mapping[str, str]:
        return {"Owner": "us"}

    def key_arn(self, key_id: str) -> str | None:
        return KEY if key_id in ("k-1", "alias/mine", KEY) else None

    def partition_key(self, table: str) -> str | None:
        return "pk" if table == "ledger" else None


def call(service: str, operation: str, params: Mapping[str, Any]) -> Call:
    return Call(
        id="1",
        service=service,
        operation=operation,
        params=params,
        principal=Principal(
            kind=Kind.ROLE, arn="arn:aws:sts::123456789012:assumed-role/f/1", role_name="f", session="mi-9"
        ),
        account="123456789012",
        region="us-east-1",
        now=datetime(2026, 11, 21, tzinfo=UTC),
        request=Request(method="POST", path="/"),
    )


def needed(
    operation: str, params: Mapping[str, Any], *, service: str = "ssm", table: Any = actions.TABLE
) -> list[Right]:
    rights = actions.required(call(service, operation, params), Known(), table=table)
    assert rights is not None
    declared = table[service, operation].actions
    assert {right.action for right in rights} <= set(declared), "a row asks for an action that it does not declare"
    return rights


@pytest.mark.parametrize("case", CASES)
def test_a_call_needs_these_rights(case: dict[str, Any]) -> None:
    service, operation = case["call"].split(":")
    table = actions.NODE_TABLE if case["who"] == "node" else actions.TABLE

    rights = needed(operation, case["params"], service=service, table=table)

    assert [[right.action, right.resource] for right in rights] == case["needs"]


def test_a_value_too_big_for_the_standard_tier_needs_a_data_key() -> None:
    params = {"Name": "/m/code", "Type": "SecureString", "KeyId": "k-1", "Tier": "Intelligent-Tiering"}

    small = needed("PutParameter", {**params, "Value": "v" * 4096})[-1]
    big = needed("PutParameter", {**params, "Value": "v" * 4097})[-1]

    assert (small.action, big.action) == ("kms:Encrypt", "kms:GenerateDataKey")


def test_a_role_is_passed_to_systems_manager() -> None:
    passed = needed("CreateActivation", {"IamRole": "web"})[-1]

    assert passed.keys == {"iam:PassedToService": "ssm.amazonaws.com"}


def test_activation_tags_are_seen_by_both_rights() -> None:
    create, tag, _ = needed("CreateActivation", {"IamRole": "web", "Tags": TAGS})

    assert create.keys == TAG_KEYS
    assert tag.keys == TAG_KEYS


def test_keys_are_asked_by_systems_manager_for_one_parameter() -> None:
    _, kms = needed("GetParameter", {"Name": "/m/code", "WithDecryption": True})

    assert kms.via == "ssm"
    assert kms.keys == {"kms:EncryptionContext:PARAMETER_ARN": CODE, "kms:EncryptionContextKeys": ("PARAMETER_ARN",)}


def test_without_a_key_the_aws_managed_one_is_used() -> None:
    _, kms = needed("PutParameter", {"Name": "/m/code", "Value": "v", "Type": "SecureString", "Overwrite": True})

    assert kms.resource == f"arn:aws:kms:{HERE}:key/alias/aws/ssm"


def test_overwriting_is_a_key_of_put_parameter() -> None:
    (put,) = needed("PutParameter", {"Name": "/m/plain", "Value": "v", "Overwrite": True})

    assert put.keys == {"ssm:Overwrite": "true"}


def test_the_tags_of_a_resource_are_keys_in_both_spellings() -> None:
    (right,) = needed("DeregisterManagedInstance", {"InstanceId": "mi-1"})

    assert right.keys == {"aws:ResourceTag/Owner": "us", "ssm:resourceTag/Owner": "us"}


KEY_OF_POOL = {"pk": {"S": "pool#a"}}
QUERY = {
    "TableName": "ledger",
    "KeyConditionExpression": "#p = :p",
    "ExpressionAttributeNames": {"#p": "pk"},
    "ExpressionAttributeValues": {":p": {"S": "pool#a"}},
}


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("GetItem", {"TableName": "ledger", "Key": KEY_OF_POOL}),
        ("PutItem", {"TableName": "ledger", "Item": {**KEY_OF_POOL, "n": {"N": "1"}}}),
        ("Query", QUERY),
        ("BatchGetItem", {"RequestItems": {"ledger": {"Keys": [KEY_OF_POOL]}}}),
        ("BatchWriteItem", {"RequestItems": {"ledger": [{"PutRequest": {"Item": KEY_OF_POOL}}]}}),
    ],
)
def test_the_partition_key_is_a_leading_key(operation: str, params: Mapping[str, Any]) -> None:
    (right,) = needed(operation, params, service="dynamodb")

    assert right.keys["dynamodb:LeadingKeys"] == ("pool#a",)


@pytest.mark.parametrize(
    ("method", "path", "operation", "params", "expected"),
    [
        ("GET", "/restapis/a", "GetRestApi", {"restApiId": "a"}, [("apigateway:GET", "/restapis/a")]),
        (
            "POST", "/restapis", "CreateRestApi", {"name": "n", "policy": "{}", "tags": {"a": "b"}},
            [
                ("apigateway:POST", "/restapis"),
                ("apigateway:UpdateRestApiPolicy", "/restapis"),
                ("apigateway:PUT", "/tags/arn%3Aaws%3Aapigateway%3Aus-east-1%3A%3A%2Frestapis"),
            ],
        ),
        (
            "PATCH", "/account", "UpdateAccount",
            {"patchOperations": [{"op": "replace", "path": "/cloudwatchRoleArn", "value": ROLE}]},
            [("apigateway:PATCH", "/account"), ("iam:PassRole", ROLE)],
        ),
    ],
)  # fmt: skip
def test_api_gateways_actions_are_methods_and_its_resources_paths(
    method: str, path: str, operation: str, params: Mapping[str, Any], expected: list[tuple[str, str]]
) -> None:
    asked = replace(call("apigateway", operation, params), request=Request(method=method, path=path))

    rights = actions.required(asked, Known()) or []

    arns = [(action, tail if tail.startswith("arn:") else f"arn:aws:apigateway:us-east-1::{tail}")
            for action, tail in expected]  # fmt: skip
    assert [(right.action, right.resource) for right in rights] == arns


def test_an_operation_without_a_row_has_no_answer() -> None:
    assert actions.required(call("ec2", "TerminateInstances", {}), Known()) is None


def test_agents_calls_are_not_in_the_roles_table() -> None:
    assert ("ssm", "UpdateInstanceInformation") not in actions.TABLE
