"""A machine's disk: real files, laid over the host's. This module writes what makes it a machine of its own.

`disk/` holds one directory for each top-level directory of the machine; those that `overlays` names hold only what
differs from the host (and whiteouts for what is hidden). Copying `disk/` with its special files and extended attributes
is a snapshot.
"""

import os
import shutil
import stat
import subprocess
from pathlib import Path

from localcloud.machines.images import REAL_TOOLS, SIMULATED_TOOLS
from localcloud.machines.inside.namespaces import PROGRAM_DIRECTORIES
from localcloud.machines.packages import UNIT
from localcloud.machines.shims.texts import shim
from localcloud.machines.spec import HOST_ARCH, MACHINES, MachineSpec
from localcloud.machines.updates import UPDATES, to_text

OWN = ("root", "home", "opt", "srv", "snap", "media", "mnt", "boot")
PROGRAMS = ("usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin")
# What a host may have that must not shine through.
HIDDEN = (
    "etc/amazon", "var/lib/amazon", "var/log/amazon", "var/lib/cloud", "var/lib/dbus/machine-id", "var/snap",
    "var/lib/snapd", "usr/bin/amazon-ssm-agent", "usr/bin/snap", "etc/hostname", "etc/apt/apt.conf.d/proxy.conf",
    "etc/environment", "etc/curlrc", "etc/wgetrc",
)  # fmt: skip
BUNDLES = (
    "etc/ssl/certs/ca-certificates.crt",
    "etc/ssl/cert.pem",
    "etc/ssl/ca-bundle.pem",
    "etc/pki/tls/certs/ca-bundle.crt",
)
PATCH_PROGRAM = "usr/libexec/localcloud/patch"
SNAP_UNIT = "snap.amazon-ssm-agent.amazon-ssm-agent.service"


def overlays() -> tuple[str, ...]:
    """The top-level directories that are layered over the host's."""
    split = [name for name in PROGRAM_DIRECTORIES if _is_real_directory(Path("/", name))]
    return (*split, "usr", "etc", "var")


def make(disk: Path, spec: MachineSpec, *, authority: bytes, agent_version: str) -> None:
    """Write a new disk (or take over the image's) at `disk`."""
    if spec.image_disk is not None:
        copy(spec.image_disk, disk)
    for name in (*overlays(), *OWN):
        folder = disk / name
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700 if name == "root" else 0o755)
    _hide(disk, spec)
    _identity(disk, spec)
    for bundle in BUNDLES:
        write(disk, bundle, authority)
    _programs(disk, spec)
    if spec.updates or spec.image_disk is None:
        write(disk, UPDATES, to_text(spec.updates).encode())
    if spec.snap_agent and spec.image_disk is None:
        _snap(disk, agent_version)


def copy(source: Path, target: Path) -> None:
    """Copy a disk whole: special files, modes and attributes too. The machine that owns it should be off."""
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", "--reflink=auto", str(source), str(target)], check=True, capture_output=True)


def write(disk: Path, path: str, content: bytes, *, mode: int = 0o644) -> None:
    """Put a file on the disk; folders that the host has too get the host's mode."""
    target = disk / path
    prepare_folder(disk, str(Path(path).parent))
    if target.is_symlink() or _is_whiteout(target):
        target.unlink()
    target.write_bytes(content)
    target.chmod(mode)


def prepare_folder(disk: Path, path: str) -> None:
    """Make a folder of an overlay such that it looks as on the host."""
    current, host = disk, Path("/")
    for part in Path(path).parts:
        current, host = current / part, host / part
        if not current.is_dir():
            current.mkdir()
            current.chmod(stat.S_IMODE(host.stat().st_mode) if host.is_dir() else 0o755)


def whiteout(disk: Path, path: str) -> None:
    """Hide a host's file or folder; nothing happens if the host has none or the disk has its own."""
    target = disk / path
    if not os.path.lexists(Path("/", path)) or os.path.lexists(target):
        return
    prepare_folder(disk, str(Path(path).parent))
    os.mknod(target, stat.S_IFCHR, os.makedev(0, 0))


def remove(directory: Path) -> None:
    """Delete a machine's directory, if it is there."""
    if not directory.exists():
        return
    if os.geteuid() != 0:
        # Overlayfs and the agent leave folders that their owner may not enter.
        for folder, names, _ in os.walk(directory):
            for path in (Path(folder, name) for name in names):
                if not path.is_symlink():
                    path.chmod(0o700)
    shutil.rmtree(directory)


def _is_real_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_whiteout(path: Path) -> bool:
    return os.path.lexists(path) and stat.S_ISCHR(path.lstat().st_mode)


def _hide(disk: Path, spec: MachineSpec) -> None:
    for path in HIDDEN:
        whiteout(disk, path)
    for tool in {*REAL_TOOLS, *SIMULATED_TOOLS} - set(spec.image.package_tools):
        for folder in PROGRAMS:
            whiteout(disk, f"{folder}/{tool}")


def _identity(disk: Path, spec: MachineSpec) -> None:
    release = spec.image.os_release().encode()
    write(disk, "etc/os-release", release)
    write(disk, "usr/lib/os-release", release)
    write(disk, "etc/hostname", f"{spec.name}\n".encode())
    write(disk, "etc/hosts", b"")  # what stands in for DNS is laid over it at boot
    write(disk, "etc/resolv.conf", b"# a machine of the local cloud resolves by /etc/hosts alone\n")
    if not (disk / "etc/machine-id").exists():
        write(disk, "etc/machine-id", b"", mode=0o444)  # the first boot fills it


def _programs(disk: Path, spec: MachineSpec) -> None:
    def install(name: str, source: str, **values: str) -> None:
        write(disk, f"usr/bin/{name}", shim(source, **values).encode(), mode=0o755)

    install("systemctl", "bell")
    write(disk, PATCH_PROGRAM, shim("bell").encode(), mode=0o755)
    for name in ("shutdown", "reboot", "poweroff", "halt"):
        write(disk, f"usr/sbin/{name}", shim("bell").encode(), mode=0o755)
    simulated = {"rpm": "rpm", "rpmkeys": "rpm", "dnf": "dnf", "yum": "dnf", "zypper": "zypper"}
    for name in spec.image.package_tools:
        if name in simulated:
            install(name, simulated[name])
    if spec.arch != HOST_ARCH:
        install("uname", "uname", machine=MACHINES[spec.arch])
        install("arch", "arch", machine=MACHINES[spec.arch])
        if spec.image.real_packages:
            _foreign_dpkg(disk, spec)


def _foreign_dpkg(disk: Path, spec: MachineSpec) -> None:
    """The real dpkg takes packages of an architecture that it is told about."""
    real = shutil.which("dpkg")
    if real is None:
        return
    write(disk, "usr/libexec/localcloud/dpkg", Path(real).read_bytes(), mode=0o755)
    write(disk, "usr/bin/dpkg", shim("dpkg", debian=spec.arch).encode(), mode=0o755)
    write(disk, "var/lib/dpkg/arch", f"{HOST_ARCH}\n{spec.arch}\n".encode())


def _snap(disk: Path, version: str) -> None:
    program = "/snap/amazon-ssm-agent/current/amazon-ssm-agent"
    write(disk, program.lstrip("/"), shim("bell").encode(), mode=0o755)
    write(disk, "usr/bin/snap", shim("snap", version=version, revision="9565").encode(), mode=0o755)
    unit = f"etc/systemd/system/{SNAP_UNIT}"
    write(disk, unit, UNIT.format(program=program).encode())
    wanted = "etc/systemd/system/multi-user.target.wants"
    prepare_folder(disk, wanted)
    (disk / wanted / SNAP_UNIT).symlink_to(f"/{unit}")
