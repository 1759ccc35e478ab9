"""Which nodes a command goes to: InstanceIds, or Targets by id and by tag."""

from collections.abc import Mapping, Sequence
from typing import Any

from localcloud.aws.ssm.node import ManagedNode
from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.errors import ServiceError, Unsupported

INSTANCE_IDS = "InstanceIds"
TAG_KEY = "tag-key"
TAG_PREFIX = "tag:"
ALL = "*"


def by_ids(nodes: ManagedNodes, ids: Sequence[str], *, region: str) -> list[ManagedNode]:
    """The nodes of these ids; raises ServiceError DuplicateInstanceId or InvalidInstanceId."""
    if len(set(ids)) != len(ids):
        raise ServiceError("DuplicateInstanceId", "You cannot specify an instance ID in more than one place.")
    found = [nodes.find(one) for one in ids]
    unknown = [one for one, node in zip(ids, found, strict=True) if node is None or node.region != region]
    if unknown:
        raise ServiceError("InvalidInstanceId", f"Instances [[{', '.join(unknown)}]] not in a valid state for account")
    return [node for node in found if node is not None]


def by_targets(nodes: ManagedNodes, targets: Sequence[Mapping[str, Any]], *, region: str) -> list[ManagedNode]:
    """The nodes that every target means, oldest first; a target means a node that has any of its values.

    Raises ServiceError InvalidParameters for a key that does not exist, Unsupported for resource groups.
    """
    for target in targets:
        _require_key(str(target.get("Key", "")))
    return [
        node
        for node in nodes.all(region)
        if all(_means(node, str(one["Key"]), one.get("Values") or ()) for one in targets)
    ]


def _require_key(key: str) -> None:
    if key.startswith("resource-groups:"):
        raise Unsupported("the local cloud has no resource groups; target nodes by tag")
    if key not in (INSTANCE_IDS, TAG_KEY) and not key.startswith(TAG_PREFIX):
        raise ServiceError("InvalidParameters", f"{key} is not a target key")


def _means(node: ManagedNode, key: str, values: Sequence[str]) -> bool:
    if key == INSTANCE_IDS:
        return node.id in values or ALL in values
    if key == TAG_KEY:
        return any(tag in values for tag, _ in node.tags)
    return any(tag == key.removeprefix(TAG_PREFIX) and value in values for tag, value in node.tags)
