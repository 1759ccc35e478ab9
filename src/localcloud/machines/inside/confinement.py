"""What root inside a machine may not do: everything whose effect would reach the host.

A machine that local root runs has no users of its own, so its root is the host's. Namespaces keep it from the host's
files, processes and network; the rights that no namespace bounds (clock, devices, mounts, kernel settings) go here,
before the first program of the machine runs. Source: capabilities(7).
"""

import ctypes
import os
from pathlib import Path

from localcloud.machines.inside import syscalls

# Parts of /proc that speak for the whole kernel; the process-wise rest is the machine's own.
KERNEL_WIDE = ("bus", "fs", "irq", "sys", "sysrq-trigger")

_CHOWN, _DAC_OVERRIDE, _FOWNER, _FSETID, _KILL, _SETGID, _SETUID, _SETPCAP = 0, 1, 3, 4, 5, 6, 7, 8
_NET_BIND_SERVICE, _NET_ADMIN, _NET_RAW, _SYS_CHROOT, _AUDIT_WRITE, _SETFCAP = 10, 12, 13, 18, 29, 31
# What packages and services need, and what the machine's own namespaces bound.
KEPT = frozenset(
    {
        *(_CHOWN, _DAC_OVERRIDE, _FOWNER, _FSETID, _KILL, _SETGID, _SETUID, _SETPCAP),
        *(_NET_BIND_SERVICE, _NET_ADMIN, _NET_RAW, _SYS_CHROOT, _AUDIT_WRITE, _SETFCAP),
    }
)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Set(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def bind_unchangeable(source: str, target: Path) -> None:
    """Show `source` at `target` such that nobody can change it there; devices can be read and written all the same."""
    syscalls.mount(source, str(target), flags=syscalls.MS_BIND)
    # In a user namespace what the host has locked must be asked for again.
    locked = os.statvfs(target).f_flag & (syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
    syscalls.mount(source, str(target), flags=syscalls.MS_BIND | syscalls.MS_REMOUNT | syscalls.MS_RDONLY | locked)


def drop_rights() -> None:
    """Give up, for this process and all that it starts, every capability that is not in `KEPT`."""
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    for capability in set(range(last + 1)) - KEPT:
        syscalls.prctl(syscalls.PR_CAPBSET_DROP, capability)
    kept = sum(1 << capability for capability in KEPT)
    low = _Set(effective=kept, permitted=kept, inheritable=0)
    syscalls.capset(_Header(version=0x20080522, pid=0), (_Set * 2)(low, _Set()))
