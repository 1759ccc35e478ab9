"""DescribeInstanceInformation: which nodes match, and how one is shown."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localcloud.aws.ssm import choices
from localcloud.aws.ssm.node import ManagedNode, PingStatus
from localcloud.errors import ServiceError

INSTANCE_IDS = "InstanceIds"
TAG_KEY = "tag-key"
TAG_PREFIX = "tag:"
RESOURCE_TYPE = "ManagedInstance"

Statuses = Callable[[ManagedNode], PingStatus]
Filter = tuple[str, frozenset[str]]

# Values that the service knows; another one is refused instead of matching nothing.
_ENUMERATED: Mapping[str, frozenset[str]] = {
    "PingStatus": frozenset({"Online", "ConnectionLost", "Inactive"}),
    "PlatformTypes": frozenset({"Windows", "Linux", "MacOS"}),
    "ResourceType": frozenset({"ManagedInstance", "EC2Instance", "AWS::EC2::Instance", "AWS::SSM::ManagedInstance"}),
    "SourceTypes": frozenset(
        {
            "AWS::EC2::Instance",
            "AWS::IoT::Thing",
            "AWS::SSM::ManagedInstance",
            "Microsoft.Compute/virtualMachines",
            "compute.googleapis.com/Instance",
        }
    ),
}


@dataclass(frozen=True, slots=True)
class _View:
    """A node with the status it has at the moment of asking."""

    node: ManagedNode
    status: PingStatus


_READ: Mapping[str, Callable[[_View], Iterable[str]]] = {
    INSTANCE_IDS: lambda view: (view.node.id,),
    "PingStatus": lambda view: (view.status.value,),
    "PlatformTypes": lambda view: (view.node.heartbeat.platform_type,),
    "ActivationIds": lambda view: (view.node.activation_id,),
    "IamRole": lambda view: (view.node.iam_role,),
    "ResourceType": lambda _: (RESOURCE_TYPE, "AWS::SSM::ManagedInstance"),
    "AssociationStatus": lambda _: (),  # there are no associations
    "AgentVersion": lambda view: (view.node.heartbeat.agent_version,),
    "SourceIds": lambda view: (view.node.source_id,),
    "SourceTypes": lambda view: (view.node.source_type,),
}


def filters_of(params: Mapping[str, Any]) -> list[Filter]:
    """The filters of a request, from either list; raises ServiceError for what the service refuses."""
    newer, older = params.get("Filters", []), params.get("InstanceInformationFilterList", [])
    if newer and older:
        raise ServiceError("ValidationException", "Filters and InstanceInformationFilterList cannot both be given.")
    filters = [(one["Key"], frozenset(one["Values"])) for one in newer]
    filters += [(one["key"], frozenset(one["valueSet"])) for one in older]
    for key, values in filters:
        _require_known(key, values)
    tagged = sum(_is_tag(key) for key, _ in filters)
    if 0 < tagged < len(filters):
        raise ServiceError("InvalidFilterKey", "Tag filters cannot be combined with other filters.")
    return filters


def matching(nodes: Sequence[ManagedNode], filters: Sequence[Filter], *, status: Statuses) -> list[ManagedNode]:
    """The nodes that pass every filter; raises ServiceError InvalidInstanceId if one asks for an unknown id."""
    known = {node.id for node in nodes}
    for key, values in filters:
        unknown = sorted(values - known) if key == INSTANCE_IDS else []
        if unknown:
            raise ServiceError("InvalidInstanceId", unknown[0])
    return [node for node in nodes if all(_passes(_View(node, status(node)), key, values) for key, values in filters)]


def shown(node: ManagedNode, status: PingStatus) -> dict[str, Any]:
    """A node as the service lists it; what it never reported is absent."""
    said = node.heartbeat
    optional = {
        "LastPingDateTime": node.last_ping,
        "AgentVersion": said.agent_version,
        "IsLatestVersion": _is_latest(said.agent_version) if said.agent_version else None,
        "PlatformType": said.platform_type,
        "PlatformName": said.platform_name,
        "PlatformVersion": said.platform_version,
        "ActivationId": node.activation_id,
        "Name": node.name,
        "IPAddress": said.ip_address,
        "ComputerName": said.computer_name,
        "SourceLocation": node.source_location,
    }
    return {
        "InstanceId": node.id,
        "PingStatus": status.value,
        "IamRole": node.iam_role,
        "RegistrationDate": node.registered_at,
        "ResourceType": RESOURCE_TYPE,
        "SourceId": node.source_id,
        "SourceType": node.source_type,
        **{name: value for name, value in optional.items() if value not in ("", None)},
    }


def _is_tag(key: str) -> bool:
    return key == TAG_KEY or key.startswith(TAG_PREFIX)


def _require_known(key: str, values: frozenset[str]) -> None:
    if not _is_tag(key) and key not in _READ:
        raise ServiceError("InvalidFilterKey", f"{key} is not a filter key")
    unknown = sorted(values - _ENUMERATED.get(key, values))
    if unknown:
        raise ServiceError("InvalidInstanceInformationFilterValue", f"{unknown[0]} is not a value of {key}")


def _passes(view: _View, key: str, values: frozenset[str]) -> bool:
    if key == TAG_KEY:
        return any(tag in values for tag, _ in view.node.tags)
    if key.startswith(TAG_PREFIX):
        return any(tag == key.removeprefix(TAG_PREFIX) and value in values for tag, value in view.node.tags)
    return not values.isdisjoint(_READ[key](view))


def _is_latest(version: str) -> bool:
    try:
        return _numbers(version) >= _numbers(choices.LATEST_AGENT_VERSION)
    except ValueError:
        return False


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]
