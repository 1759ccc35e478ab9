"""A machine's world view: its namespaces and its root directory, layered over the host's without changing it."""

import os
import socket
from pathlib import Path

from localcloud.machines.inside import confinement, syscalls
from localcloud.machines.inside.configuration import Boot

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
# Where a host keeps programs outside /usr: a link on merged-/usr systems, a directory of its own on older ones.
PROGRAM_DIRECTORIES = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


def enter(*, user_namespace: bool) -> None:
    """Leave the host's namespaces; the next child begins the new PID namespace."""
    if user_namespace:
        _become_root_of_own_users()
    syscalls.unshare(
        syscalls.CLONE_NEWNS
        | syscalls.CLONE_NEWUTS
        | syscalls.CLONE_NEWIPC
        | syscalls.CLONE_NEWNET
        | syscalls.CLONE_NEWPID
    )
    syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_PRIVATE)


def build_root(boot: Boot) -> None:
    """Put the machine's root together and move into it; the host's is gone from this mount namespace afterwards."""
    root = Path(boot.directory, "root")
    root.mkdir(exist_ok=True)
    syscalls.mount("tmpfs", str(root), "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=0755,size=256m")
    for name in PROGRAM_DIRECTORIES:
        host = Path("/", name)
        if host.is_symlink():
            (root / name).symlink_to(host.readlink())
    for name in boot.overlays:
        _overlay(boot, name, root / name)
    for name in boot.own:
        _bind(Path(boot.disk, name), root / name)
    if boot.temporary:
        _bind(Path(boot.temporary), root / "mnt")
    _bind(Path(boot.directory, "hosts"), root / "etc" / "hosts")
    _devices(root / "dev")
    _proc_and_sys(root, boot)
    for name, mode in (("run", 0o755), ("tmp", 0o1777)):
        (root / name).mkdir()
        (root / name).chmod(mode)
    (root / "run" / "lock").mkdir()
    os.chdir(root)
    syscalls.pivot_root_here()
    socket.sethostname(boot.name)


def overlay_works(directory: Path, *, user_namespace: bool) -> str:
    """Why machines cannot keep their disks below `directory`; empty if they can. Changes this process's namespaces."""
    try:
        enter(user_namespace=user_namespace)
    except OSError as error:
        return f"namespaces: {error.strerror}"
    for name in ("lower", "upper", "work", "merged"):
        (directory / name).mkdir(exist_ok=True)
    options = f"lowerdir={directory}/lower,upperdir={directory}/upper,workdir={directory}/work"
    try:
        _mount_overlay(directory / "merged", options, user_namespace=user_namespace)
        (directory / "merged" / "written").write_text("")
    except OSError as error:
        return f"overlay: {error.strerror}"
    return ""


def _become_root_of_own_users() -> None:
    user, group = os.geteuid(), os.getegid()
    syscalls.unshare(syscalls.CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")


def _overlay(boot: Boot, name: str, target: Path) -> None:
    target.mkdir(exist_ok=True)
    work = Path(boot.directory, "work", name)
    work.mkdir(parents=True, exist_ok=True)
    seed = Path(boot.seed, name)
    lower = f"{seed}:/{name}" if boot.seed and seed.is_dir() else f"/{name}"
    options = f"lowerdir={lower},upperdir={boot.disk}/{name},workdir={work}"
    _mount_overlay(target, options, user_namespace=boot.user_namespace)


def _mount_overlay(target: Path, options: str, *, user_namespace: bool) -> None:
    # Without rights over the whole host, overlayfs keeps its notes in user.* attributes.
    extra = ",userxattr" if user_namespace else ""
    syscalls.mount("overlay", str(target), "overlay", 0, options + extra)


def _bind(source: Path, target: Path) -> None:
    if source.is_dir():
        target.mkdir(exist_ok=True)
    elif not target.exists():
        target.touch()
    syscalls.mount(str(source), str(target), flags=syscalls.MS_BIND)


def _devices(directory: Path) -> None:
    directory.mkdir()
    for name in DEVICES:
        (directory / name).touch()
        # The host's own node: its mode and owner must not be changed from here.
        confinement.bind_unchangeable(f"/dev/{name}", directory / name)
    for name, target in (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        (directory / name).symlink_to(f"/proc/self/{target}")
    for name in ("shm", "pts"):
        (directory / name).mkdir()


def _proc_and_sys(root: Path, boot: Boot) -> None:
    (root / "proc").mkdir()
    safe = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
    syscalls.mount("proc", str(root / "proc"), "proc", safe)
    confinement.limit_processes(root / "proc")  # before it can no longer be written
    for name in confinement.KERNEL_WIDE:
        if (root / "proc" / name).exists():
            confinement.bind_unchangeable(str(root / "proc" / name), root / "proc" / name)
    # The kernel has one boot for all of them; here each machine's own is told.
    own = Path(boot.directory, "boot-id")
    own.write_text(f"{boot.boot_id}\n")
    confinement.bind_unchangeable(str(own), root / "proc" / "sys" / "kernel" / "random" / "boot_id")
    identity = root / "sys" / "class" / "dmi" / "id"
    identity.mkdir(parents=True)
    for name, content in boot.firmware:
        (identity / name).write_text(content + "\n")
