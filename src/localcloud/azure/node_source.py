"""Which VM a managed node is: what an agent in Azure finds out about its cloud, told where its heartbeats arrive."""

import json

from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.azure.service import Azure
from localcloud.machines.machine import Machine
from localcloud.wire import Request
from localcloud.world import World

SOURCE_TYPE = "Microsoft.Compute/virtualMachines"
_HEARTBEAT = "AmazonSSM.UpdateInstanceInformation"


def note(world: World, machine: Machine, request: Request) -> None:
    """Look at a request from inside `machine`: its node's heartbeat makes the machine's VM the node's source."""
    if request.headers.get("X-Amz-Target") != _HEARTBEAT:
        return
    vm = world.part(Azure).vms.of_machine(machine)
    try:
        node_id = str(json.loads(request.body)["InstanceId"])
    except (ValueError, KeyError, TypeError):
        return  # the service refuses it in its own words
    nodes = world.part(ManagedNodes)
    node = nodes.find(node_id)
    if vm is None or node is None or node.source_id == vm.vm_id:
        return
    with vm.site.state.lock:
        location = str(vm.document["location"])
    nodes.set_source(node_id, source_id=vm.vm_id, source_type=SOURCE_TYPE, location=location)
