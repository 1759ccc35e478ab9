"""What nodes report of themselves beside heartbeats: inventory by type, of which patch state and compliance are made.

Types that nothing here reads are kept as they are. Source: PutInventory and GetInventory in the service's model.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.aws.call import Call
from localcloud.aws.ssm import patch_state
from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.aws.ssm.paging import page
from localcloud.errors import ServiceError, Unsupported
from localcloud.principals import Kind
from localcloud.world import World

DEFAULT_PAGE = 50
Row = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryItem:
    """One type's inventory of one node, as last reported."""

    type_name: str
    schema_version: str
    capture_time: str  # as sent, such as 2026-11-21T20:31:10Z
    content: tuple[Row, ...]
    context: Row
    content_hash: str = ""


class Inventory:
    """The inventory of all nodes. Threads may share it; a report replaces the one before."""

    def __init__(self, world: World) -> None:
        del world
        self._items: dict[tuple[str, str], InventoryItem] = {}
        self._lock = threading.Lock()

    def put(self, node_id: str, item: InventoryItem) -> None:
        """Keep what a node reported of one type."""
        with self._lock:
            self._items[node_id, item.type_name] = item

    def find(self, node_id: str, type_name: str) -> InventoryItem | None:
        """What a node last reported of a type, or None."""
        return self._items.get((node_id, type_name))

    def of_node(self, node_id: str) -> list[InventoryItem]:
        """Everything that a node reported, by type."""
        with self._lock:
            found = [item for (node, _), item in self._items.items() if node == node_id]
        return sorted(found, key=lambda item: item.type_name)


class InventoryCalls:
    """PutInventory and GetInventory."""

    def __init__(self, world: World) -> None:
        self._nodes = world.part(ManagedNodes)
        self._inventory = world.part(Inventory)

    def put(self, call: Call) -> Mapping[str, Any]:
        """PutInventory: a node reports of itself only; what patching reports must be readable."""
        node_id = call.params["InstanceId"]
        require_own(call, node_id)
        self._nodes.get(node_id)
        for given in call.params["Items"]:
            item = self._item(node_id, given)
            patch_state.check(item.type_name, item.content)
            self._inventory.put(node_id, item)
        return {}

    def get(self, call: Call) -> Mapping[str, Any]:
        """GetInventory: by node and type; other filters, groups and sums are refused by name."""
        params = call.params
        if params.get("Aggregators"):
            raise Unsupported("the local cloud does not aggregate inventory")
        wanted = [one["TypeName"] for one in params.get("ResultAttributes") or ()]
        nodes = [node for node in self._nodes.all(call.region) if node.id in self._asked(call)]
        shown, token = page(
            [node for node in nodes if self._inventory.of_node(node.id)],
            key=lambda node: node.id,
            size=params.get("MaxResults", DEFAULT_PAGE),
            token=params.get("NextToken", ""),
            question=["GetInventory", call.region, params.get("Filters"), wanted],
        )
        entities = [{"Id": node.id, "Data": self._data(node.id, wanted)} for node in shown]
        return {"Entities": entities} | ({"NextToken": token} if token else {})

    def _item(self, node_id: str, given: Mapping[str, Any]) -> InventoryItem:
        content, sent_hash = given.get("Content"), given.get("ContentHash", "")
        if content is None:
            known = self._inventory.find(node_id, given["TypeName"])
            if known is None or not sent_hash or known.content_hash != sent_hash:
                raise ServiceError("ItemContentMismatchException", "The content is not the one that was sent before.")
            content = known.content
        return InventoryItem(
            type_name=given["TypeName"],
            schema_version=given["SchemaVersion"],
            capture_time=given["CaptureTime"],
            content=tuple(dict(row) for row in content),
            context=dict(given.get("Context") or {}),
            content_hash=sent_hash,
        )

    def _asked(self, call: Call) -> set[str]:
        chosen = {node.id for node in self._nodes.all(call.region)}
        for one in call.params.get("Filters") or ():
            if one["Key"] != "AWS:InstanceInformation.InstanceId" or one.get("Type", "Equal") != "Equal":
                raise Unsupported(f"the local cloud does not filter inventory by {one['Key']} ({one.get('Type')})")
            chosen &= set(one["Values"])
        return chosen

    def _data(self, node_id: str, wanted: list[str]) -> dict[str, Any]:
        return {
            item.type_name: {
                "TypeName": item.type_name,
                "SchemaVersion": item.schema_version,
                "CaptureTime": item.capture_time,
                "ContentHash": item.content_hash,
                "Content": [dict(row) for row in item.content],
            }
            for item in self._inventory.of_node(node_id)
            if not wanted or item.type_name in wanted
        }


def require_own(call: Call, node_id: str) -> None:
    """Return unless a node speaks of another one; raises ServiceError AccessDeniedException then."""
    caller = call.principal
    if caller.kind is Kind.NODE and caller.session != node_id:
        raise ServiceError("AccessDeniedException", f"{caller.arn} may not speak for {node_id}")
