"""A local cloud for stacks, and the shortest way to make one."""

import io
import json
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from localcloud.aws.cloudformation.stacks import Stacks
from localcloud.cloud import LocalCloud


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(in_process=True) as running:
        s3 = running.client("s3")
        s3.create_bucket(Bucket=f"code-{running.world.account}")
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("f.py", "def handler(event, context):\n    return 1\n")
        s3.put_object(Bucket=f"code-{running.world.account}", Key="f.zip", Body=packed.getvalue())
        yield running


@dataclass
class Deployer:
    """Creates, updates and removes stacks and waits until they have settled."""

    cloud: LocalCloud

    @property
    def client(self) -> Any:
        return self.cloud.client("cloudformation")

    def settle(self) -> None:
        self.cloud.world.part(Stacks).settle()

    def create(self, template: str | Mapping[str, Any], **arguments: Any) -> "Made":
        name = arguments.pop("name", f"s{uuid.uuid4().hex[:8]}")
        body = template if isinstance(template, str) else json.dumps(template)
        arguments.setdefault("Capabilities", ["CAPABILITY_NAMED_IAM"])
        stack_id = self.client.create_stack(StackName=name, TemplateBody=body, **arguments)["StackId"]
        self.settle()
        return Made(self, name, stack_id)


@dataclass
class Made:
    """One stack."""

    deployer: Deployer
    name: str
    id: str

    @property
    def described(self) -> dict[str, Any]:
        found: dict[str, Any] = self.deployer.client.describe_stacks(StackName=self.id)["Stacks"][0]
        return found

    @property
    def status(self) -> str:
        return str(self.described["StackStatus"])

    @property
    def outputs(self) -> dict[str, str]:
        return {one["OutputKey"]: one["OutputValue"] for one in self.described.get("Outputs", [])}

    def events(self) -> list[tuple[str, str, str]]:
        """Logical id, status, reason; oldest first."""
        pages = self.deployer.client.get_paginator("describe_stack_events").paginate(StackName=self.id)
        found = [event for page in pages for event in page["StackEvents"]]
        return [
            (one["LogicalResourceId"], one["ResourceStatus"], one.get("ResourceStatusReason", ""))
            for one in reversed(found)
        ]

    def reason(self, logical_id: str) -> str:
        """Why a resource failed."""
        return next(
            reason for name, status, reason in self.events() if name == logical_id and status.endswith("_FAILED")
        )

    def physical(self, logical_id: str) -> str:
        found = self.deployer.client.describe_stack_resource(StackName=self.id, LogicalResourceId=logical_id)
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def update(self, template: str | Mapping[str, Any] | None = None, **arguments: Any) -> str:
        body = template if isinstance(template, str) else json.dumps(template)
        source = {"UsePreviousTemplate": True} if template is None else {"TemplateBody": body}
        arguments.setdefault("Capabilities", ["CAPABILITY_NAMED_IAM"])
        self.deployer.client.update_stack(StackName=self.name, **source, **arguments)
        self.deployer.settle()
        return self.status

    def delete(self, **arguments: Any) -> str:
        self.deployer.client.delete_stack(StackName=self.id, **arguments)
        self.deployer.settle()
        return self.status


@pytest.fixture
def deployer(cloud: LocalCloud) -> Deployer:
    return Deployer(cloud)


@pytest.fixture
def create(deployer: Deployer) -> Callable[..., Made]:
    return deployer.create
