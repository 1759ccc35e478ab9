"""The cloud that a machine runs in, as the machine meets it; whoever emulates a cloud adds it here by its name."""

from collections.abc import Callable
from typing import Protocol

from localcloud.machines.machine import Machine
from localcloud.machines.spec import MachineSpec
from localcloud.wire import Request, Response
from localcloud.world import World


class Surroundings(Protocol):
    """One emulated cloud. Threads may share it."""

    def answer(self, machine: Machine, request: Request) -> Response:
        """What the metadata service says to a request from inside `machine`."""
        ...

    def hear(self, machine: Machine, request: Request) -> None:
        """Notice a request of `machine` to AWS, before AWS answers it."""
        ...


class EmulatedClouds:
    """`world.part(EmulatedClouds)`: in all other clouds, and in none, a machine finds no service of its cloud's."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._makers: dict[str, Callable[[World], Surroundings]] = {}

    def add(self, cloud: str, maker: Callable[[World], Surroundings]) -> None:
        """Emulate the cloud that machines name so; it is made when the first of them asks."""
        self._makers[cloud] = maker

    def around(self, spec: MachineSpec) -> Surroundings | None:
        """What is around a machine of this specification; None in a cloud that is not emulated."""
        maker = self._makers.get(spec.cloud)
        return None if maker is None else self._world.part(maker)
