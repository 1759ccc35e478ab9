"""What a row of the rights table is made of, and what a row may look up."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from localcloud.aws.call import Call
from localcloud.aws.iam.policy import Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """One action on one resource, with the context keys that only this service call brings along."""

    action: str
    resource: str = "*"
    keys: Mapping[str, Values] = field(default_factory=dict)
    via: str = ""  # the service that asks on the caller's behalf: "ssm" for KMS behind a SecureString


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredParameter:
    """What the rights of a call depend on in a parameter that exists."""

    name: str
    secure: bool
    key_id: str  # as given to PutParameter: id, ARN or alias
    tags: Mapping[str, str]


class Directory(Protocol):
    """What a row of the table asks about the resources that a call names; None if there is no such resource."""

    def role_arn(self, name: str) -> str | None: ...

    def parameter(self, name: str) -> StoredParameter | None: ...

    def parameters_below(self, path: str, *, recursive: bool) -> Sequence[StoredParameter]: ...

    def node_tags(self, node: str) -> Mapping[str, str]: ...

    def document_tags(self, name: str) -> Mapping[str, str]: ...

    def automation_role(self, name: str, version: str, given: Mapping[str, Any]) -> str | None: ...

    def automation_tags(self, execution: str) -> Mapping[str, str]: ...

    def key_arn(self, key_id: str) -> str | None: ...

    def partition_key(self, table: str) -> str | None: ...


Rights = Callable[[Call, Directory], Sequence[Right]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row: every action it may ask for, and which of them a given call needs."""

    actions: tuple[str, ...]
    rights: Rights


def simple(action: str, resource: Callable[[Call], str] | None = None) -> Entry:
    """A row that always asks for one action, on one resource (default: `*`)."""
    return Entry(
        actions=(action,),
        rights=lambda call, _: [Right(action=action, resource=resource(call) if resource else "*")],
    )


def free() -> Entry:
    """A row for a call that needs no permission."""
    return Entry(actions=(), rights=lambda *_: [])


def partition(region: str) -> str:
    """The ARN partition of `region`."""
    return {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(region.rsplit("-", 2)[0], "aws")


def arn(call: Call, service: str, resource: str) -> str:
    """The ARN of a resource in the call's account and Region; what already is an ARN stays as it is."""
    if resource.startswith("arn:"):
        return resource
    return f"arn:{partition(call.region)}:{service}:{call.region}:{call.account}:{resource}"


def request_tags(tags: Sequence[Mapping[str, Any]] | None) -> dict[str, Values]:
    """The keys that a call which passes tags brings along."""
    if not tags:
        return {}
    keys: dict[str, Values] = {f"aws:RequestTag/{tag['Key']}": str(tag.get("Value", "")) for tag in tags}
    keys["aws:TagKeys"] = tuple(str(tag["Key"]) for tag in tags)
    return keys


def resource_tags(tags: Mapping[str, str], *, also: str = "") -> dict[str, Values]:
    """The keys that a tagged resource brings along; `also`: the service's own older spelling of them."""
    keys: dict[str, Values] = {f"aws:ResourceTag/{key}": value for key, value in tags.items()}
    if also:
        keys |= {f"{also}/{key}": value for key, value in tags.items()}
    return keys
