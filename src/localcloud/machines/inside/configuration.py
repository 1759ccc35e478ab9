"""What a machine's init is told: written by the local cloud as a file, read before the machine's root exists."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """One boot of one machine. All paths are the host's."""

    name: str
    instance_id: str  # changes with the machine, never with a boot: user data runs once for each
    boot_id: str  # changes with every boot
    directory: str  # of the machine; holds work/, root/, hosts
    disk: str  # what it boots from
    temporary: str  # a directory that is /mnt, below which data disks appear; empty: /mnt is the disk's own
    addresses: tuple[str, ...]  # on the loopback interface, the machine's own first
    listeners: tuple[tuple[str, str, int], ...]  # (what it is for, address, port)
    user_namespace: bool
    seed: str  # a directory that lies between the host's and the machine's own; empty: none
    overlays: tuple[str, ...]  # top-level directories laid over the host's
    own: tuple[str, ...]  # top-level directories of the machine alone
    firmware: tuple[tuple[str, str], ...]  # /sys/class/dmi/id: name, content
    user_data: str
    time_scale: float  # the simulated agent's cadence times this

    def write(self, path: Path) -> None:
        """Write it for `read`; only the owner may look."""
        path.write_text(json.dumps(asdict(self)))
        path.chmod(0o600)  # user data may hold secrets

    @classmethod
    def read(cls, path: Path) -> "Boot":
        """What `write` wrote."""
        raw = json.loads(path.read_text())
        for name in ("addresses", "overlays", "own"):
            raw[name] = tuple(raw[name])
        for name in ("listeners", "firmware"):
            raw[name] = tuple(tuple(entry) for entry in raw[name])
        return cls(**raw)
