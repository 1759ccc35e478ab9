"""Azure as the machines in it meet it: their metadata service, and an agent that finds out which VM it runs on."""

from localcloud.azure import node_source
from localcloud.azure.imds import Metadata
from localcloud.machines.machine import Machine
from localcloud.wire import Request, Response
from localcloud.world import World


class AzureSurroundings:
    """See `localcloud.machines.surroundings.Surroundings`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._metadata = world.part(Metadata)

    def answer(self, machine: Machine, request: Request) -> Response:
        """What the VM's metadata service says."""
        return self._metadata.answer(machine, request)

    def hear(self, machine: Machine, request: Request) -> None:
        """A heartbeat makes the machine's VM the source of its node."""
        node_source.note(self._world, machine, request)
