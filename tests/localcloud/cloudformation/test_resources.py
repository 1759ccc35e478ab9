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
