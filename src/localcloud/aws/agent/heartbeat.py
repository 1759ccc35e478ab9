"""What a registered agent tells and asks about itself with its role token: heartbeats and associations."""

from collections.abc import Mapping
from typing import Any

from localcloud.aws.agent.caller import speaking_node
from localcloud.aws.call import Call
from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.errors import ServiceError
from localcloud.principals import Kind
from localcloud.world import World


class HeartbeatCalls:
    """UpdateInstanceInformation, ListInstanceAssociations and, where that fails, ListAssociations."""

    def __init__(self, world: World) -> None:
        self._nodes = world.part(ManagedNodes)

    def update(self, call: Call) -> Mapping[str, Any]:
        """UpdateInstanceInformation: a node speaks for itself only; fields that it leaves out keep their value."""
        node = speaking_node(self._nodes, call, about=call.params["InstanceId"])
        self._nodes.heard(node.id, call.params)
        return {}

    def instance_associations(self, call: Call) -> Mapping[str, Any]:
        """ListInstanceAssociations: none, since nothing here creates one."""
        speaking_node(self._nodes, call, about=call.params["InstanceId"])
        return {"Associations": []}

    def associations(self, call: Call) -> Mapping[str, Any]:
        """ListAssociations: none, since CreateAssociation is refused by name; a deregistered node is refused too."""
        caller = call.principal
        if caller.kind is Kind.NODE and self._nodes.find(caller.session) is None:
            raise ServiceError("AccessDeniedException", f"{caller.session} is not registered")
        return {"Associations": []}
