"""Whether this host can run machines, and what to do if it cannot."""

import os
import platform
import shutil

from localcloud.errors import CannotRun

# Each program, and the Debian package that brings it.
TOOLS = {
    "awk": "mawk",
    "base64": "coreutils",
    "bash": "bash",
    "curl": "curl",
    "dpkg": "dpkg",
    "flock": "util-linux",
    "gpg": "gpg",
    "gpg-agent": "gpg-agent",
    "gpgconf": "gpgconf",
    "gpgv": "gpgv",
    "gzip": "gzip",
    "tar": "tar",
}


def missing_tools() -> list[str]:
    """The programs that machines need and this host lacks."""
    return [tool for tool in TOOLS if shutil.which(tool) is None]


def requirements() -> None:
    """Raise CannotRun, with the one command that helps, unless all programs are there."""
    if platform.system() != "Linux":
        raise CannotRun(
            f"simulated servers need Linux namespaces; this is {platform.system()}", remedy="run it in a Linux VM"
        )
    missing = missing_tools()
    if missing:
        packages = " ".join(sorted({TOOLS[tool] for tool in missing}))
        remedy = f"install what Debian has in {packages}"
        if shutil.which("apt-get") is not None:
            remedy = f"install with: {'' if os.geteuid() == 0 else 'sudo '}apt-get install -y {packages}"
        raise CannotRun(f"simulated servers need {', '.join(missing)}", remedy=remedy)


def refusal(why: str, *, root: bool) -> CannotRun:
    """What to tell a user whose kernel or container forbids machines."""
    if root:
        return CannotRun(
            f"this host forbids simulated servers ({why})",
            remedy="in a container, start it with --privileged (for namespaces, and to mount overlays)",
        )
    return CannotRun(
        f"this host forbids simulated servers to ordinary users ({why})", remedy="run the same command with sudo"
    )
