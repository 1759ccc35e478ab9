"""What stands below Resource Manager: disks as directories, and machines that are switched on and off.

Disks and snapshots are alike here: a directory that has a unique id. Virtual machines are named by their vmId.
"""

import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any, Protocol

from localcloud.errors import Unsupported


class Hardware(Protocol):
    """Disks and power of virtual machines. Calls may take their time; none is made while the state's lock is held.

    The exceptions are `running` and `responds`, which must answer at once.
    """

    def adopt(self, vm: str, machine: Any, disk: str) -> None:
        """A new virtual machine stands on this machine (None: on nothing); its files become the disk `disk`."""

    def new_disk(self, disk: str, source: Path | None) -> None:
        """A new disk: empty, or a copy of the directory `source`."""

    def copy(self, source: str, target: str) -> None:
        """A new disk `target` with the files of `source` as they are now, even if its machine runs."""

    def delete(self, disk: str) -> None:
        """Delete a disk. Safe to repeat."""

    def path(self, disk: str) -> Path:
        """The directory that holds the disk's files."""

    def insert_os(self, vm: str, disk: str) -> None:
        """From its next power-on on, the machine boots from `disk`; it is off."""

    def attach(self, vm: str, lun: int, disk: str) -> None:
        """The machine sees the disk's files at `/mnt/lun<lun>`."""

    def detach(self, vm: str, lun: int) -> None:
        """The machine does not see that disk any more. Safe to repeat."""

    def power_on(self, vm: str) -> None:
        """Switch it on; returns once it has power, whether its system boots or not. Safe to repeat."""

    def power_off(self, vm: str, *, hard: bool) -> None:
        """Switch it off, `hard` without asking its system; returns once nothing runs. Safe to repeat."""

    def running(self, vm: str) -> bool:
        """Whether it has power: False only if it was switched off, or its system shut itself down."""

    def responds(self, vm: str) -> bool:
        """Whether a system runs on it that could tell so: not one that did not boot, or has not yet."""

    def forget(self, vm: str) -> None:
        """The virtual machine is deleted; its machine, if any, is off and has no disk."""


class PlainDirectories:
    """Hardware without machines: files and power switches only. Threads may share it."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._on: set[str] = set()
        self._disks: dict[str, dict[int, str]] = {}  # of each virtual machine, by LUN; -1 is the OS disk

    def adopt(self, vm: str, machine: Any, disk: str) -> None:
        if machine is not None:
            raise Unsupported("a machine below a virtual machine: this hardware has directories only")
        if not self.path(disk).exists():
            self.new_disk(disk, None)
        with self._lock:
            self._disks[vm] = {-1: disk}

    def new_disk(self, disk: str, source: Path | None) -> None:
        if source is None:
            self.path(disk).mkdir(parents=True, exist_ok=True)
        else:
            _copy(source, self.path(disk))

    def copy(self, source: str, target: str) -> None:
        _copy(self.path(source), self.path(target))

    def delete(self, disk: str) -> None:
        path = self.path(disk)
        if path.exists():
            shutil.rmtree(path)

    def path(self, disk: str) -> Path:
        return self._home / disk

    def insert_os(self, vm: str, disk: str) -> None:
        with self._lock:
            self._disks.setdefault(vm, {})[-1] = disk

    def attach(self, vm: str, lun: int, disk: str) -> None:
        with self._lock:
            self._disks.setdefault(vm, {})[lun] = disk

    def detach(self, vm: str, lun: int) -> None:
        with self._lock:
            self._disks.get(vm, {}).pop(lun, None)

    def power_on(self, vm: str) -> None:
        with self._lock:
            self._on.add(vm)

    def power_off(self, vm: str, *, hard: bool) -> None:
        with self._lock:
            self._on.discard(vm)

    def running(self, vm: str) -> bool:
        return vm in self._on

    def responds(self, vm: str) -> bool:
        return self.running(vm)

    def forget(self, vm: str) -> None:
        with self._lock:
            self._on.discard(vm)
            self._disks.pop(vm, None)

    def disks_of(self, vm: str) -> dict[int, str]:
        """The unique ids of what the machine holds, by LUN; -1 is what it boots from."""
        with self._lock:
            return dict(self._disks.get(vm, {}))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if not source.exists() or not list(source.iterdir()):
        # Nothing to copy is the case of large fleets: no process for it.
        target.mkdir(exist_ok=True)
        return
    subprocess.run(["cp", "-a", "--reflink=auto", str(source), str(target)], check=True, capture_output=True)
