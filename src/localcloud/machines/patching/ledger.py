"""What a disk knows of its updates: those that exist, and those that were installed."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from localcloud.machines.patching.baseline import Baseline, read
from localcloud.machines.updates import UPDATES, Update, from_text

BASELINE = "var/lib/localcloud/baseline.json"
LEDGER = "var/lib/localcloud/patches.json"

INSTALLED = "INSTALLED"
PENDING_REBOOT = "INSTALLED_PENDING_REBOOT"
REJECTED = "INSTALLED_REJECTED"
OTHER = "INSTALLED_OTHER"
MISSING = "MISSING"
FAILED = "FAILED"


@dataclass(slots=True, kw_only=True)
class Ledger:
    """The state file's content. Times are ISO 8601 in UTC."""

    installed: dict[str, tuple[str, str]] = field(default_factory=dict)  # id -> (when, in which boot)
    failed: list[str] = field(default_factory=list)
    silent: bool = False  # reports do not arrive any more
    reboots: int = 0  # asked for in a row
    last_install_without_reboot: str = ""

    def save(self, root: Path) -> None:
        """Write it whole or not at all."""
        path = root / LEDGER
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(self), indent=1))
        fresh.replace(path)

    @classmethod
    def load(cls, root: Path) -> "Ledger":
        """What the disk holds; empty if nothing was ever installed."""
        path = root / LEDGER
        if not path.exists():
            return cls()
        raw: dict[str, Any] = json.loads(path.read_text())
        raw["installed"] = {name: (when, boot) for name, (when, boot) in raw["installed"].items()}
        return cls(**raw)

    def state(self, update: Update, baseline: Baseline, boot_id: str) -> str:
        """The update's compliance state; empty if it neither is installed nor should be."""
        known = self.installed.get(update.id)
        if known is not None:
            if update.needs_reboot and known[1] == boot_id:
                return PENDING_REBOOT
            if baseline.rejects(update):
                return REJECTED
            return INSTALLED if baseline.approves(update) else OTHER
        if not baseline.approves(update):
            return ""
        return FAILED if update.id in self.failed else MISSING


def own_baseline(root: Path) -> Baseline:
    """The server's own baseline; without one everything that there is counts as approved."""
    path = root / BASELINE
    return read(json.loads(path.read_text())) if path.exists() else Baseline()


def known_updates(root: Path) -> tuple[Update, ...]:
    """Every update that there is for this disk."""
    path = root / UPDATES
    return from_text(path.read_text()) if path.exists() else ()
