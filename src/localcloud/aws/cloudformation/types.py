"""What a resource type is to the engine, and where it is being made."""

import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from localcloud.aws.cloudformation.model import Made
from localcloud.aws.cloudformation.shapes import Struct
from localcloud.aws.iam.rights.model import Right

_SUFFIX = string.ascii_letters + string.digits


class Failed(Exception):
    """A resource could not be made, changed or removed; the message becomes the reason of the stack event."""


class Clients(Protocol):
    """Gives clients of the emulated services, with the rights of whoever deploys."""

    def client(self, service: str) -> Any:
        """A boto3 client of `service` in the stack's Region."""

    def require(self, handler: str, rights: Sequence[Right]) -> None:
        """Raise ServiceError if whoever deploys lacks one of these; `handler` is what asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One resource in one stack: who it is, and how to call the services for it."""

    logical_id: str
    stack_name: str
    stack_id: str
    account: str
    region: str
    clients: Clients

    def client(self, service: str) -> Any:
        return self.clients.client(service)

    def name(self, *, limit: int = 64, lower: bool = False) -> str:
        """A generated name: stack, logical id and a random suffix, cut to `limit`, as CloudFormation does."""
        suffix = "".join(secrets.choice(_SUFFIX) for _ in range(12))
        room = limit - len(suffix) - 2
        stack = self.stack_name[: max(room - len(self.logical_id), room // 2)]
        made = f"{stack}-{self.logical_id[: room - len(stack)]}-{suffix}"
        return made.lower() if lower else made


class ResourceType:
    """Base of every supported type. Subclasses state the reviewed table and make the calls.

    `properties` holds what is really made; `replaced_by` the properties whose change makes a new resource;
    `attributes` what Fn::GetAtt may ask for. Calls refuse with botocore's ClientError or `Failed`.
    """

    name: str
    properties: Struct
    replaced_by: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()
    needs_capability: bool = False  # CAPABILITY_IAM; with `named_by` set in the template CAPABILITY_NAMED_IAM
    named_by: str = ""

    def create(self, place: Place, properties: Mapping[str, Any]) -> Made:
        """Make it; raise if it cannot be made whole, leaving nothing behind where possible."""
        raise Failed(f"{self.name} cannot be created")

    def refuse_update(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        """Raise Failed for a change that cannot be made in place; asked before anything is touched."""

    def update(self, place: Place, made: Made, old: Mapping[str, Any], new: Mapping[str, Any]) -> Made:
        """Change it in place. Types without updates state every property in `replaced_by`."""
        raise Failed(f"{self.name} cannot be updated in place")

    def delete(self, place: Place, made: Made, properties: Mapping[str, Any]) -> None:
        """Remove it; one that is gone already is no failure."""
        raise Failed(f"{self.name} cannot be deleted")


def picked(properties: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The call arguments for the properties that are set: `names` maps property to argument."""
    return {argument: properties[name] for name, argument in names.items() if name in properties}
