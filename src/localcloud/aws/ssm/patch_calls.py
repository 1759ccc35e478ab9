"""DescribeInstancePatchStates and DescribeInstancePatches: what nodes last reported; a report replaces the one before.

Baselines are not kept here: what a node lacks follows from the node itself, and the operations on them are refused.
"""

from collections.abc import Mapping
from typing import Any

from localcloud.aws.call import Call
from localcloud.aws.ssm import patch_state
from localcloud.aws.ssm.inventory import Inventory
from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.aws.ssm.paging import page
from localcloud.errors import ServiceError
from localcloud.world import World

STATES_PAGE = 10
PATCHES_PAGE = 50
_FILTERS = frozenset({"Classification", "KBId", "Severity", "State"})


class PatchCalls:
    """The two operations that show patch state."""

    def __init__(self, world: World) -> None:
        self._nodes = world.part(ManagedNodes)
        self._inventory = world.part(Inventory)

    def states(self, call: Call) -> Mapping[str, Any]:
        """DescribeInstancePatchStates: nodes that never reported, or that nobody knows, are absent."""
        wanted = call.params["InstanceIds"]
        here = {node.id for node in self._nodes.all(call.region)}
        known = [(one, item) for one in wanted if one in here and (item := self._summary(one))]
        shown, token = page(
            known,
            key=lambda pair: pair[0],
            size=call.params.get("MaxResults", STATES_PAGE),
            token=call.params.get("NextToken", ""),
            question=["DescribeInstancePatchStates", call.region, sorted(wanted)],
        )
        states = [{"InstanceId": node_id, **item} for node_id, item in shown]
        return {"InstancePatchStates": states} | ({"NextToken": token} if token else {})

    def patches(self, call: Call) -> Mapping[str, Any]:
        """DescribeInstancePatches, by title."""
        node_id = call.params["InstanceId"]
        node = self._nodes.get(node_id)
        if node.region != call.region:
            raise ServiceError("InvalidInstanceId", node_id)
        filters = [(str(one.get("Key", "")), list(one.get("Values") or ())) for one in call.params.get("Filters") or ()]
        for key, _ in filters:
            if key not in _FILTERS:
                raise ServiceError("InvalidFilter", f"{key} is not a filter of patches")
        item = self._inventory.find(node_id, patch_state.PATCHES)
        found = [patch_state.patch(row) for row in (item.content if item else ())]
        shown, token = page(
            [one for one in found if all(_passes(one, key, values) for key, values in filters)],
            key=lambda one: f"{one['Title']} {one['KBId']}",
            size=call.params.get("MaxResults", PATCHES_PAGE),
            token=call.params.get("NextToken", ""),
            question=["DescribeInstancePatches", call.region, node_id, filters],
        )
        return {"Patches": shown} | ({"NextToken": token} if token else {})

    def _summary(self, node_id: str) -> dict[str, Any] | None:
        item = self._inventory.find(node_id, patch_state.SUMMARY)
        return patch_state.state(item.content[0]) if item else None


def _passes(patch: Mapping[str, Any], key: str, values: list[str]) -> bool:
    if key == "State":
        return any(value.replace("_", "").upper() == patch["State"].replace("_", "") for value in values)
    return patch[key] in values
