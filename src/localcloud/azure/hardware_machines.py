"""Hardware of real files and real machines: a VM's power is a machine's, its OS disk is what the machine boots from.

Disks are directories beside the machines that use them, so that a data disk can be moved into a running one: it lies
at `lun<N>` of the temporary disk, which is /mnt inside. A VM without a machine has files and a power switch only.
"""

import os
import shutil
import threading
from pathlib import Path

from localcloud.azure import disk_copy
from localcloud.azure.hardware import PlainDirectories
from localcloud.errors import CannotRun
from localcloud.machines.machine import Machine, State

_POWERED = frozenset({State.WAITING, State.BOOTING, State.RUNNING})
STORE = ".azure-disks"  # no machine can have this name


class MachineHardware(PlainDirectories):
    """The hardware of one local Azure (see `hardware.Hardware`, which says what each call means). Threads may share it.

    `home` is for disks that were made before the first machine came.
    """

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self._moves = threading.RLock()
        self._machines: dict[str, Machine] = {}
        self._places: dict[str, Path] = {}  # of disks that are not at home

    def adopt(self, vm: str, machine: Machine | None, disk: str) -> None:
        """A new VM stands on `machine`; the directory that it boots from becomes the disk, where it is."""
        if machine is not None:
            with self._moves:
                if machine in self._machines.values():
                    raise ValueError(f"machine {machine.name} is another virtual machine's already")
                # Beside the machines from now on, so that disks move between them without being copied.
                self._home = machine.directory.parent / STORE
                self._machines[vm] = machine
                self._places[disk] = machine.disk
        super().adopt(vm, None, disk)

    def new_disk(self, disk: str, source: Path | None) -> None:
        """A new disk: empty, or a copy of `source` as it is now, even if it is in use."""
        with self._moves:
            place = self._places[disk] = self._home / disk
        if source is None:
            place.mkdir(parents=True, exist_ok=True)
        else:
            disk_copy.copy(source, place)

    def copy(self, source: str, target: str) -> None:
        """A new disk with the files as they are now, even of one in use."""
        self.new_disk(target, self.path(source))

    def delete(self, disk: str) -> None:
        """Delete a disk. Safe to repeat."""
        place = self.path(disk)
        with self._moves:
            self._places.pop(disk, None)
        if place.exists():
            _remove(place)

    def path(self, disk: str) -> Path:
        """The directory that holds its files now."""
        with self._moves:
            return self._places.get(disk) or super().path(disk)

    def insert_os(self, vm: str, disk: str) -> None:
        """From its next power-on on, the VM boots from `disk`. CannotRun if its machine is not off."""
        machine = self._machines.get(vm)
        if machine is not None:
            machine.insert_disk(self.path(disk))
        super().insert_os(vm, disk)

    def attach(self, vm: str, lun: int, disk: str) -> None:
        """The disk's files appear at /mnt/lun<N>, at once if it runs."""
        machine = self._machines.get(vm)
        if machine is not None:
            self._move(disk, machine.temporary_disk / f"lun{lun}")
        super().attach(vm, lun, disk)

    def detach(self, vm: str, lun: int) -> None:
        """The disk is no longer seen. Safe to repeat."""
        disk = self.disks_of(vm).get(lun)
        if disk is not None and vm in self._machines and self.path(disk).exists():
            self._move(disk, self._home / disk)
        super().detach(vm, lun)

    def power_on(self, vm: str) -> None:
        """Switch it on; its system may boot or not. Safe to repeat."""
        super().power_on(vm)
        machine = self._machines.get(vm)
        if machine is not None:
            machine.boot()

    def power_off(self, vm: str, *, hard: bool) -> None:
        """Switch it off; returns once nothing of it runs. Safe to repeat."""
        super().power_off(vm, hard=hard)
        machine = self._machines.get(vm)
        if machine is None:
            return
        if not hard:
            machine.power_off()
        if hard or machine.state in _POWERED:  # a system that does not end is cut off, as by the platform
            machine.cut_power()
        if machine.state in _POWERED:
            raise CannotRun(f"machine {machine.name} does not end")

    def running(self, vm: str) -> bool:
        """Whether it has power. A system that crashed or did not boot keeps it; one that shut itself down does not."""
        machine = self._machines.get(vm)
        return super().running(vm) and (machine is None or machine.state in _POWERED | {State.FAILED})

    def responds(self, vm: str) -> bool:
        """Whether its system has booted and runs."""
        machine = self._machines.get(vm)
        return super().running(vm) and (machine is None or machine.state is State.RUNNING)

    def forget(self, vm: str) -> None:
        """The VM is deleted; its disks stay."""
        for lun in self.disks_of(vm):
            if lun >= 0:
                self.detach(vm, lun)
        super().forget(vm)
        self._machines.pop(vm, None)

    def _move(self, disk: str, target: Path) -> None:
        with self._moves:
            source = self.path(disk)
            if source == target:
                return
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.stat().st_dev == target.parent.stat().st_dev:
                source.rename(target)
            else:  # made before there were machines
                disk_copy.copy(source, target)
                _remove(source)
            self._places[disk] = target


def _remove(place: Path) -> None:
    if os.geteuid() != 0:
        # Machines of ordinary users leave folders that their owner may not enter.
        for folder, names, _ in os.walk(place):
            for path in (Path(folder, name) for name in names):
                if not path.is_symlink():
                    path.chmod(0o700)
    shutil.rmtree(place)
