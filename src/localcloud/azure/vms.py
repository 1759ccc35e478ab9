"""Virtual machines for tests and demos: made at once and running, on a machine of the local cloud or on none."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.azure.ids import key
from localcloud.azure.model import Document, Group
from localcloud.azure.site import Site
from localcloud.azure.views import power_word
from localcloud.azure.vm_making import Made, VmSpec, make
from localcloud.machines.machine import Machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Vm:
    """A virtual machine of the local Azure; what it says of its state is always the present one."""

    site: Site
    id: str
    vm_id: str
    name: str
    resource_group: str
    machine: Machine | None = None

    @property
    def power(self) -> str:
        """Its power state: running, stopped, deallocated, or on the way to one of them."""
        with self.site.state.lock:
            return power_word(self.site.state.machine(self.id), self.site.hardware)

    @property
    def os_disk_id(self) -> str:
        """The id of the disk that it boots from now."""
        with self.site.state.lock:
            return self.site.state.machine(self.id).os_disk_id

    @property
    def os_disk_path(self) -> Path:
        """The directory of that disk's files."""
        with self.site.state.lock:
            disk = self.site.state.disks[key(self.os_disk_id)]
        return self.site.hardware.path(disk.unique_id)

    @property
    def document(self) -> Document:
        """The resource as the provider keeps it; tests may write to it."""
        return self.site.state.machine(self.id).document


class Vms:
    """The virtual machines of one local Azure. Threads may share it."""

    def __init__(self, site: Site, *, subscription: str) -> None:
        self._site = site
        self._subscription = subscription
        self._lock = site.state.lock
        self._made: dict[str, Vm] = {}  # by vmId

    def create(self, name: str, *, machine: Machine | None = None, **options: Any) -> Vm:
        """A virtual machine that runs, in its group (made if needed); `options` are the fields of `VmSpec`.

        A `machine` lends it its disk, which becomes the OS disk, and its power; it may be on or off, and is booted.
        ValueError if the name is taken.
        """
        spec = VmSpec(name=name, **options)
        with self._lock:
            group = Group(name=spec.resource_group, location=spec.location)
            group = self._site.state.add_group(self._subscription, group)
            made = make(spec, subscription=self._subscription, group=group.name, now=self._site.clock.now())
            if made.machine.key in self._site.state.machines:
                raise ValueError(f"there is a virtual machine {made.machine.id} already")
            self._keep(made, ephemeral=spec.ephemeral)
            vm = Vm(
                site=self._site,
                id=str(made.machine.id),
                vm_id=made.machine.unique_id,
                name=name,
                resource_group=group.name,
                machine=machine,
            )
            self._made[vm.vm_id] = vm
        self._switch_on(made, machine)
        return vm

    def get(self, vm_id: str) -> Vm:
        """The virtual machine with this vmId; KeyError if there is none, or none that was made here."""
        with self._lock:
            return self._made[vm_id.lower()]

    def of_machine(self, machine: Machine) -> Vm | None:
        """The virtual machine that stands on `machine`."""
        with self._lock:
            return next((vm for vm in self._made.values() if vm.machine is machine), None)

    def all(self) -> list[Vm]:
        """Every virtual machine that was made here, the oldest first."""
        with self._lock:
            return list(self._made.values())

    def _keep(self, made: Made, *, ephemeral: bool) -> None:
        state = self._site.state
        state.machines[made.machine.key] = made.machine
        for disk in [*([] if ephemeral else [made.os_disk]), *made.data_disks.values()]:
            state.disks[disk.key] = disk

    def _switch_on(self, made: Made, machine: Machine | None) -> None:
        hardware, vm = self._site.hardware, made.machine.unique_id
        hardware.adopt(vm, machine, made.os_disk.unique_id)
        for lun, disk in made.data_disks.items():
            hardware.new_disk(disk.unique_id, None)
            hardware.attach(vm, lun, disk.unique_id)
        hardware.power_on(vm)
