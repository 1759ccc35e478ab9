"""What root inside a machine may not do or use up: everything whose effect would reach the host.

A machine that local root runs has no users of its own, so its root is the host's. Namespaces keep it from the host's
files, processes and network; the rights that no namespace bounds (clock, devices, mounts, kernel settings) go here,
before the first program of the machine runs. Processes are counted by machine, memory and file size limited for each
process. Sources: capabilities(7), setrlimit(2), pid_namespaces(7).
"""

import ctypes
import os
import resource
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

# Many times what a boot with package installation takes, and a small part of what a host bears.
PROCESSES = 1024
MEMORY_BYTES = 1 << 30  # of each process: what it writes to, not what it reserves
FILE_BYTES = 1 << 30
_RESERVED_PIDS = 300  # which the kernel does not hand out again
_OWN_COUNT = (6, 14)  # from this Linux on a PID namespace has its own number of processes
_COUNT_BY_USERS = (5, 14)  # and from this one on a user namespace; else RLIMIT_NPROC counts all machines together


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


def limit_processes(proc: Path) -> None:
    """Bound how many processes this PID namespace, seen in the fresh `proc`, can have: a fork bomb ends here.

    Before Linux 6.14 the same file is the whole host's, so it is left alone there.
    """
    if kernel_version() >= _OWN_COUNT:
        (proc / "sys" / "kernel" / "pid_max").write_text(str(_RESERVED_PIDS + PROCESSES))


def limit_usage(*, user_namespace: bool) -> None:
    """Set the limits of this process and of all that it starts; without CAP_SYS_RESOURCE nobody can raise them."""
    limits = {
        resource.RLIMIT_DATA: MEMORY_BYTES,
        resource.RLIMIT_FSIZE: FILE_BYTES,
        resource.RLIMIT_CORE: 0,
    }
    if user_namespace and _COUNT_BY_USERS <= kernel_version() < _OWN_COUNT:
        limits[resource.RLIMIT_NPROC] = PROCESSES
    for kind, most in limits.items():
        allowed = resource.getrlimit(kind)[1]
        bound = most if allowed == resource.RLIM_INFINITY else min(most, allowed)
        resource.setrlimit(kind, (bound, bound))


def kernel_version() -> tuple[int, int]:
    """The running Linux, as (major, minor)."""
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int("".join(letter for letter in minor if letter.isdigit()))


def drop_rights() -> None:
    """Give up, for this process and all that it starts, every capability that is not in `KEPT`."""
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    for capability in set(range(last + 1)) - KEPT:
        syscalls.prctl(syscalls.PR_CAPBSET_DROP, capability)
    kept = sum(1 << capability for capability in KEPT)
    low = _Set(effective=kept, permitted=kept, inheritable=0)
    syscalls.capset(_Header(version=0x20080522, pid=0), (_Set * 2)(low, _Set()))
