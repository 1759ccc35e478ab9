"""Every supported type with every property of its table: afterwards the service knows what the template said."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.localcloud.cloudformation.readers import READERS

from localcloud.aws.cloudformation.registry import registry
from localcloud.aws.cloudformation.shapes import ListOf, Shape, Struct
from localcloud.aws.cloudformation.stacks import Stacks
from localcloud.aws.cloudformation.template import parse

TEXT = Path(__file__).with_name("everything.yaml").read_text()
TEMPLATE = parse(TEXT)
REGION = "us-east-1"


@pytest.fixture(scope="module")
def everything(cloud: Any) -> str:
    """The id of a stack of everything.yaml."""
    client = cloud.client("cloudformation")
    bucket = f"code-{cloud.world.account}"
    cloud.client("s3").put_object(Bucket=bucket, Key="everything.yaml", Body=TEXT.encode())
    stack_id: str = client.create_stack(
        StackName="everything",
        TemplateURL=f"https://{bucket}.s3.amazonaws.com/everything.yaml",
        Parameters=[{"ParameterKey": "CodeBucket", "ParameterValue": bucket}],
        Tags=[{"Key": "stack", "Value": "tag"}],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )["StackId"]
    cloud.world.part(Stacks).settle()
    events = client.describe_stack_events(StackName=stack_id)["StackEvents"]
    assert [one["ResourceStatusReason"] for one in events if one["ResourceStatus"].endswith("_FAILED")] == []
    return stack_id


@pytest.mark.parametrize("logical_id", list(TEMPLATE.resources))
def test_the_service_keeps_every_property(cloud: Any, everything: str, logical_id: str) -> None:
    """Read back through the service's own API."""
    resource = cloud.world.part(Stacks).find(REGION, everything).resources[logical_id]
    reader = READERS[resource.definition.type]

    kept = reader(cloud.client, resource.made.id, resource.properties)

    assert {name: kept.get(name) for name in resource.properties} == resource.properties


def leaves(shape: Shape, path: str) -> Iterator[str]:
    """Dotted names of all members of a table."""
    if isinstance(shape, ListOf):
        yield from leaves(shape.item, path)
    elif isinstance(shape, Struct):
        for name, member in shape.members.items():
            yield from leaves(member, f"{path}.{name}")
    else:
        yield path


def used(value: Any, path: str) -> Iterator[str]:
    """Dotted names of all members that a template sets."""
    yield path
    if isinstance(value, list):
        for entry in value:
            yield from used(entry, path)
    elif isinstance(value, Mapping):
        for name, entry in value.items():
            yield from used(entry, f"{path}.{name}")


def test_the_template_leaves_no_property_out() -> None:
    """A table cannot grow without its property being made and read back here."""
    promised = {path for name, kind in registry().items() for path in leaves(kind.properties, name)}
    shown = {path for entry in TEMPLATE.resources.values() for path in used(entry.properties, entry.type)}

    assert promised <= shown
    assert set(registry()) == set(READERS)


# What an update changes: text of everything.yaml, and what takes its place.
CHANGES = [
    ("Timeout: 25", "Timeout: 20"),
    ("MemorySize: 256", "MemorySize: 512"),
    ("Variables: {AA: !Ref Table", "Variables: {CC: changed, AA: !Ref Table"),
    ("ReservedConcurrentExecutions: 5", "ReservedConcurrentExecutions: 7"),
    ("MaximumRetryAttempts: 0, MaximumEventAge", "MaximumRetryAttempts: 1, MaximumEventAge"),
    ("AttributeName: expires, Enabled: true", "AttributeName: expires, Enabled: false"),
    ("DeletionProtectionEnabled: \"false\"", "DeletionProtectionEnabled: false"),
    ("RetentionInDays: 30", "RetentionInDays: 14"),
    ('Action: "logs:*"', 'Action: "logs:Put*"'),
    ('Action: "s3:*", Resource: "*"', 'Action: "s3:Get*", Resource: "*"'),
    ("MaxSessionDuration: 7200", "MaxSessionDuration: 3600"),
    ("EnableKeyRotation: true", "EnableKeyRotation: false"),
    ("rate(5 minutes)", "rate(10 minutes)"),
    ('Input: \'{"a": 1}\'', 'Input: \'{"a": 2}\''),
    ("source: [a.b]", "source: [a.c]"),
    ("x is <x>", "x was <x>"),
    ("VersionName: one", "VersionName: two"),
    ("Duration: PT1S", "Duration: PT2S"),
    ("Threshold: 0.5", "Threshold: 0.75"),
    ('"widgets": []', '"widgets": [1]'),
    ("DisplayName: d", "DisplayName: e"),
    ("ExpirationInDays: 30", "ExpirationInDays: 31"),
    ("Value: v, Description: d,", "Value: w, Description: e,"),
    ("Port: 443, CidrIp: 10.0.0.0/8", "Port: 443, CidrIp: 10.0.0.0/9"),
    ("EnableDnsHostnames: true", "EnableDnsHostnames: false"),
    ("TimeoutInMillis: 29000", "TimeoutInMillis: 20000"),
    ("StatusCode: 503", "StatusCode: 429"),
    ("Description: one", "Description: two"),
    ("TracingEnabled: true", "TracingEnabled: false"),
    ("LoggingLevel: ERROR", "LoggingLevel: INFO"),
    ("Default: 50", "Default: 60"),
    ("Variables: {v: w}", "Variables: {x: y}"),
    ('"id":"$context.requestId"', '"request":"$context.requestId"'),
    ("[{Key: a, Value: b}]", "[{Key: c, Value: d}]"),
]  # fmt: skip


def test_an_update_reaches_every_service_and_a_deletion_leaves_nothing(cloud: Any, everything: str) -> None:
    """In place where the service can, else by a new resource; no name is free of its template."""
    text = TEXT
    for before, after in CHANGES:
        assert before in text
        text = text.replace(before, after)
    bucket = f"code-{cloud.world.account}"
    cloud.client("s3").put_object(Bucket=bucket, Key="changed.yaml", Body=text.encode())
    client = cloud.client("cloudformation")

    client.update_stack(
        StackName=everything,
        TemplateURL=f"https://{bucket}.s3.amazonaws.com/changed.yaml",
        Parameters=[{"ParameterKey": "CodeBucket", "UsePreviousValue": True}],
        Tags=[{"Key": "stack", "Value": "changed"}],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    stacks = cloud.world.part(Stacks)
    stacks.settle()

    events = client.describe_stack_events(StackName=everything)["StackEvents"]
    assert [one["ResourceStatusReason"] for one in events if one["ResourceStatus"].endswith("_FAILED")] == []
    for resource in stacks.find(REGION, everything).resources.values():
        kept = READERS[resource.definition.type](cloud.client, resource.made.id, resource.properties)
        assert {name: kept.get(name) for name in resource.properties} == resource.properties

    client.delete_stack(StackName=everything)
    stacks.settle()

    assert client.describe_stacks(StackName=everything)["Stacks"][0]["StackStatus"] == "DELETE_COMPLETE"
    assert cloud.client("lambda").list_functions()["Functions"] == []
    assert cloud.client("dynamodb").list_tables()["TableNames"] == []
    assert cloud.client("apigateway").get_rest_apis()["items"] == []
    assert cloud.client("cloudwatch").describe_alarms()["MetricAlarms"] == []
    assert cloud.client("events").list_rules()["Rules"] == []
    assert cloud.client("iam").list_roles()["Roles"] == []
