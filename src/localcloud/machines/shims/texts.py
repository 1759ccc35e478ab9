"""Small shell programs that stand in for what a machine cannot have; `SIMULATED` lists them for people."""

from importlib.resources import files
from types import MappingProxyType

SIMULATED = MappingProxyType(
    {
        "amazon-ssm-agent": "speaks the real agent's protocol: registration, token, heartbeat, control channel and "
        "polling; runs documents of type Command with aws:runShellScript, really",
        "systemctl": "start, stop, restart, enable, disable, status, show, is-active, is-failed, is-enabled, cat, "
        "daemon-reload, reboot, poweroff; services (simple, oneshot) with unit files on the disk; no restart after a "
        "failure, no dependencies (on every machine)",
        "snap": "list, services, start, stop, restart, remove of the one preinstalled snap (machines with snap_agent)",
        "rpm, rpmkeys": "import of keys, check of signatures (by the real gpgv), install, query and erase of packages "
        "in a format of its own (all but Debian and Ubuntu)",
        "dnf, yum": "install of a file or URL, remove (Red Hat family and Amazon Linux)",
        "zypper": "install of a file, remove (SUSE)",
        "uname, arch": "report a processor architecture that is not the host's; programs still run on the host's",
        "dpkg": "real; where the architecture is not the host's, a wrapper answers --print-architecture",
        "/usr/libexec/localcloud/patch": "looks for and installs the updates that were given to the machine, with what "
        "each of them does; reports by PutInventory",
        "shutdown, reboot, poweroff, halt": "restart the machine or switch it off, at once or after +N minutes of "
        "the cloud's time",
        "/etc/os-release": "the image's; all other programs are the host's",
        "/sys/class/dmi/id": "three files that tell the cloud",
        "network": "lo alone; names of services lead to listeners of the local cloud; nothing else is reachable",
        "certificates": "the system bundle holds the local cloud's authority alone",
    }
)


def shim(name: str, **values: str) -> str:
    """The text of one program; `@NAME@` in it becomes `values["name"]`."""
    text = files("localcloud.machines.shims").joinpath(f"{name}.sh").read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"@{key.upper()}@", value)
    return text
