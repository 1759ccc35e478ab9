"""Tags: of an activation, which land on every node it registers, of managed nodes and documents; the rest is moto's."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from localcloud.automation.errors import ExecutionNotFound
from localcloud.aws.call import Call
from localcloud.aws.ssm import choices
from localcloud.aws.ssm.activations import Tags
from localcloud.aws.ssm.automation.automations import Automations
from localcloud.aws.ssm.document_model import Document
from localcloud.aws.ssm.documents import Documents
from localcloud.aws.ssm.node import ManagedNode
from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.errors import ServiceError
from localcloud.world import World

MANAGED_NODE = "ManagedInstance"
AUTOMATION = "Automation"
DOCUMENT = "Document"
RESERVED_PREFIX = "aws:"


def require_tags(tags: Iterable[Mapping[str, str]], *, code: str) -> Tags:
    """The tags as pairs; raises ServiceError: `code` if a key is there twice or there are over 50."""
    pairs = tuple((tag["Key"], tag["Value"]) for tag in tags)
    if len(dict(pairs)) != len(pairs):
        raise ServiceError(code, "Duplicate tag keys are not allowed.")
    if len(pairs) > choices.MAX_TAGS:
        raise ServiceError(code, f"A resource has at most {choices.MAX_TAGS} tags.")
    if any(key.lower().startswith(RESERVED_PREFIX) for key, _ in pairs):
        raise ServiceError("ValidationException", f"Tag keys that begin with {RESERVED_PREFIX} are reserved.")
    return pairs


def wire_tags(tags: Tags) -> list[dict[str, str]]:
    """Tags as the service lists them."""
    return [{"Key": key, "Value": value} for key, value in tags]


class TagCalls:
    """ListTagsForResource, AddTagsToResource, RemoveTagsFromResource for managed nodes and for what moto has."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._nodes = world.part(ManagedNodes)
        self._documents = world.part(Documents)

    def list(self, call: Call) -> Mapping[str, Any]:
        """ListTagsForResource."""
        kind, resource = call.params["ResourceType"], call.params["ResourceId"]
        if kind == MANAGED_NODE:
            return {"TagList": wire_tags(self._node(call).tags)}
        if kind == DOCUMENT:
            return {"TagList": wire_tags(self._document(call).tags)}
        if kind == AUTOMATION:
            return {"TagList": wire_tags(self._automation(call))}
        with self._world.moto_lock:
            found = self._world.backend("ssm", call.region).list_tags_for_resource(kind, resource)
        return {"TagList": wire_tags(tuple(found.items()))}

    def add(self, call: Call) -> Mapping[str, Any]:
        """AddTagsToResource: a key that is there gets the new value."""
        kind, resource, tags = call.params["ResourceType"], call.params["ResourceId"], call.params["Tags"]
        if kind in (MANAGED_NODE, DOCUMENT, AUTOMATION):
            added = dict(require_tags(tags, code="TooManyTagsError"))
            self._change(call, lambda present: _merged(present, added))
            return {}
        with self._world.moto_lock:
            self._world.backend("ssm", call.region).add_tags_to_resource(
                kind, resource, {tag["Key"]: tag["Value"] for tag in tags}
            )
        return {}

    def remove(self, call: Call) -> Mapping[str, Any]:
        """RemoveTagsFromResource: keys that are not there are ignored."""
        kind, resource, keys = call.params["ResourceType"], call.params["ResourceId"], call.params["TagKeys"]
        if kind in (MANAGED_NODE, DOCUMENT, AUTOMATION):
            self._change(call, lambda present: tuple(pair for pair in present if pair[0] not in keys))
            return {}
        with self._world.moto_lock:
            self._world.backend("ssm", call.region).remove_tags_from_resource(kind, resource, keys)
        return {}

    def _change(self, call: Call, change: Callable[[Tags], Tags]) -> None:
        if call.params["ResourceType"] == MANAGED_NODE:
            self._nodes.change_tags(self._node(call).id, change)
        elif call.params["ResourceType"] == AUTOMATION:
            self._automation(call)
            self._world.part(Automations).change_tags(call.region, call.params["ResourceId"], change)
        else:
            self._documents.change_tags(self._document(call).name, change, region=call.region)

    def _node(self, call: Call) -> ManagedNode:
        node = self._nodes.find(call.params["ResourceId"])
        if node is None or node.region != call.region:
            raise ServiceError("InvalidResourceId", f"{call.params['ResourceId']} is not a managed node")
        return node

    def _automation(self, call: Call) -> Tags:
        try:
            return self._world.part(Automations).tags(call.region, call.params["ResourceId"])
        except ExecutionNotFound as error:
            raise ServiceError("InvalidResourceId", str(error)) from error

    def _document(self, call: Call) -> Document:
        try:
            return self._documents.get(call.params["ResourceId"], region=call.region)
        except ServiceError as error:
            raise ServiceError("InvalidResourceId", f"{call.params['ResourceId']} is not a document") from error


def _merged(present: Tags, added: Mapping[str, str]) -> Tags:
    merged = {**dict(present), **added}
    return require_tags(wire_tags(tuple(merged.items())), code="TooManyTagsError")
