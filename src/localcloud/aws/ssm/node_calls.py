"""DescribeInstanceInformation and DeregisterManagedInstance."""

from collections.abc import Mapping
from typing import Any

from localcloud.aws.call import Call
from localcloud.aws.ssm.commands.book import Commands
from localcloud.aws.ssm.listing import filters_of, matching, shown
from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.aws.ssm.paging import page
from localcloud.world import World

DEFAULT_PAGE = 10


class NodeCalls:
    """The operations on managed nodes that people and programs call, not the nodes themselves."""

    def __init__(self, world: World) -> None:
        self._nodes = world.part(ManagedNodes)
        self._commands = world.part(Commands)

    def describe(self, call: Call) -> Mapping[str, Any]:
        """DescribeInstanceInformation: by registration, oldest first."""
        filters = filters_of(call.params)
        found = matching(self._nodes.all(call.region), filters, status=self._nodes.ping_status)
        listed, token = page(
            found,
            key=lambda node: f"{node.registered_at.isoformat(timespec='microseconds')} {node.id}",
            size=call.params.get("MaxResults", DEFAULT_PAGE),
            token=call.params.get("NextToken", ""),
            question=["DescribeInstanceInformation", call.region, [[key, sorted(values)] for key, values in filters]],
        )
        answer = {"InstanceInformationList": [shown(node, self._nodes.ping_status(node)) for node in listed]}
        return answer | ({"NextToken": token} if token else {})

    def deregister(self, call: Call) -> Mapping[str, Any]:
        """DeregisterManagedInstance: the node is forgotten; its own calls fail from now on."""
        self._nodes.deregister(call.params["InstanceId"], region=call.region)
        self._commands.lose_node(call.params["InstanceId"])
        return {}
