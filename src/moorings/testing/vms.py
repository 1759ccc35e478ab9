"""Virtual machines of the local Azure that are managed nodes."""

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moorings.testing.servers import SECONDS, EnrolledNode, EnrolledNodes
from moorings.testing.waiting import FAILURES_ONLY

if TYPE_CHECKING:
    from localcloud.azure.faults import AzureFaults
    from localcloud.azure.vms import Vm

__tracebackhide__ = FAILURES_ONLY
GROUP = "servers"


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureVm:
    """A virtual machine and the managed node that it is."""

    vm: "Vm"
    node: EnrolledNode

    @property
    def id(self) -> str:
        """Its id in Resource Manager."""
        return self.vm.id

    @property
    def power(self) -> str:
        """running, stopped, deallocated, or on the way to one of them."""
        return self.vm.power

    @property
    def faults(self) -> "AzureFaults":
        """What shall go wrong in Azure from now on; forgotten after the test."""
        return self.node.cloud.azure.faults

    def run(self, script: str, *, timeout: float = 60.0) -> "subprocess.CompletedProcess[str]":
        """As `EnrolledNode.run`."""
        return self.node.run(script, timeout=timeout)

    def read(self, path: str) -> str:
        """As `EnrolledNode.read`."""
        return self.node.read(path)


class AzureVms:
    """Makes virtual machines. Not for several threads at once."""

    def __init__(self, nodes: EnrolledNodes) -> None:
        self.nodes = nodes
        self._azure = nodes.cloud.azure

    def __call__(
        self,
        count: int = 1,
        *,
        os: str = "debian-12",
        setup: str = "",
        resource_group: str = GROUP,
        server: dict[str, Any] | None = None,
        updates: tuple[Any, ...] = (),
        within: float = SECONDS,
        **vm: Any,
    ) -> list[AzureVm]:
        """That many virtual machines, once they are online.

        `os`, `setup`, `updates`, `within`: as for `enrolled_nodes`; its further options go into `server`. `vm`: further
        options of `cloud.azure.vms.create`, such as `size`, `zone`, `data_disks`, `tags`.
        """
        given = {**(server or {}), "updates": updates, "cloud": "azure"}
        machines = [self.nodes.make(os=os, setup=setup, **given) for _ in range(count)]
        kind = "Windows" if os.startswith("windows") else "Linux"
        made = [
            self._azure.vms.create(each.name, machine=each, resource_group=resource_group, os=kind, **vm)
            for each in machines
        ]
        nodes = self.nodes.enrolled(machines, within=within)
        return [AzureVm(vm=vm, node=node) for vm, node in zip(made, nodes, strict=True)]

    def close(self) -> None:
        """Forget the faults. The virtual machines' records stay with their cloud; their servers go with the nodes."""
        self._azure.faults.clear()
