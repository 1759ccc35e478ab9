"""What the clouds show, as values: read-only views over Azure's wire form, and what Systems Manager tells of a node.

The wire form is kept whole, because a VM is written back as it was read but for its disks. Source of names and states:
the compute API's versions 2026-04-01 (VMs) and 2026-03-02 (disks, snapshots).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

Wire = Mapping[str, Any]


class Power(Enum):
    """A VM's power state; UNKNOWN if Azure shows none."""

    RUNNING = "running"
    STARTING = "starting"
    STOPPING = "stopping"
    STOPPED = "stopped"
    DEALLOCATING = "deallocating"
    DEALLOCATED = "deallocated"
    UNKNOWN = "unknown"


def same_id(one: str, other: str) -> bool:
    """Whether two resource ids name the same resource: Azure keeps no letter case in them."""
    return bool(one) and one.strip("/").lower() == other.strip("/").lower()


def _properties(wire: Wire) -> Wire:
    found = wire.get("properties")
    return found if isinstance(found, Mapping) else {}


@dataclass(frozen=True, slots=True)
class Resource:
    """Anything that has an id, a name and tags."""

    wire: Wire = field(repr=False)

    @property
    def id(self) -> str:
        return str(self.wire.get("id", ""))

    @property
    def name(self) -> str:
        return str(self.wire.get("name", ""))

    @property
    def location(self) -> str:
        return str(self.wire.get("location", ""))

    @property
    def tags(self) -> Mapping[str, str]:
        return dict(self.wire.get("tags") or {})

    @property
    def properties(self) -> Wire:
        return _properties(self.wire)

    @property
    def provisioning(self) -> str:
        """`Succeeded`, `Updating`, `Creating`, `Failed`, …"""
        return str(self.properties.get("provisioningState", ""))


@dataclass(frozen=True, slots=True)
class Disk(Resource):
    """A managed disk."""

    @property
    def unique_id(self) -> str:
        """Of this very disk; one that is made again under the same name has another."""
        return str(self.properties.get("uniqueId", ""))

    @property
    def sku(self) -> str:
        return str((self.wire.get("sku") or {}).get("name", ""))

    @property
    def managed_by(self) -> str:
        """The VM that it is attached to; empty if to none."""
        return str(self.wire.get("managedBy") or "")

    @property
    def attached(self) -> bool:
        """Whether any VM holds it, as far as can be seen."""
        return bool(self.managed_by) or self.properties.get("diskState") not in {None, "Unattached"}


@dataclass(frozen=True, slots=True)
class Snapshot(Resource):
    """A snapshot of a disk."""

    @property
    def source_id(self) -> str:
        return str((self.properties.get("creationData") or {}).get("sourceResourceId", ""))

    @property
    def source_unique_id(self) -> str:
        return str((self.properties.get("creationData") or {}).get("sourceUniqueId", ""))

    @property
    def access_state(self) -> str:
        """`Pending`, `Available`, `InstantAccess`, `AvailableWithInstantAccess`; empty where Azure tells none."""
        return str(self.properties.get("snapshotAccessState") or "")

    @property
    def percent(self) -> float | None:
        value = self.properties.get("completionPercent")
        return float(value) if value is not None else None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A disk as the VM names it. `lun` None: the OS disk."""

    lun: int | None
    name: str
    disk_id: str  # empty: no managed disk
    wire: Wire = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Vm(Resource):
    """A virtual machine with its instance view."""

    @property
    def vm_id(self) -> str:
        """The GUID that it keeps from creation to deletion."""
        return str(self.properties.get("vmId", ""))

    def is_of(self, guid: str) -> bool:
        """Whether it is this very VM, and not another of its name."""
        return self.vm_id.lower() == guid.lower()

    @property
    def etag(self) -> str:
        return str(self.wire.get("etag", ""))

    @property
    def power(self) -> Power:
        """From the instance view's `PowerState/…`."""
        view = self.properties.get("instanceView") or {}
        for status in view.get("statuses") or ():
            code = str(status.get("code", ""))
            if code.startswith("PowerState/"):
                word = code.partition("/")[2].lower()
                return Power(word) if word in {power.value for power in Power} else Power.UNKNOWN
        return Power.UNKNOWN

    @property
    def guest_ready(self) -> bool:
        """Whether Azure's own agent on the VM reports: `Ready` in the portal. It is no part of ours."""
        agent = (self.properties.get("instanceView") or {}).get("vmAgent") or {}
        return any(str(one.get("displayStatus", "")).lower() == "ready" for one in agent.get("statuses") or ())

    @property
    def storage(self) -> Wire:
        return self.properties.get("storageProfile") or {}

    @property
    def os_disk(self) -> Attachment:
        wire = self.storage.get("osDisk") or {}
        return Attachment(None, str(wire.get("name", "")), _disk_id(wire), wire)

    @property
    def data_disks(self) -> tuple[Attachment, ...]:
        found = self.storage.get("dataDisks") or ()
        return tuple(Attachment(int(wire["lun"]), str(wire.get("name", "")), _disk_id(wire), wire) for wire in found)

    @property
    def ephemeral(self) -> bool:
        """Whether the OS disk lives on the host alone."""
        return bool((self.os_disk.wire.get("diffDiskSettings") or {}).get("option"))

    @property
    def os_type(self) -> str:
        return str(self.os_disk.wire.get("osType", ""))

    def attached(self, lun: int | None) -> Attachment | None:
        """What is attached as OS disk (None) or at a LUN."""
        if lun is None:
            return self.os_disk
        return next((disk for disk in self.data_disks if disk.lun == lun), None)


def _disk_id(wire: Wire) -> str:
    return str((wire.get("managedDisk") or {}).get("id", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A management lock that covers the VM."""

    name: str
    level: str  # CanNotDelete or ReadOnly
    scope: str


class OperationState(Enum):
    """How far a long-running operation is; GONE: its monitor knows it no more."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A long-running operation as its monitor shows it; `code` and `message` if it failed."""

    state: OperationState
    code: str = field(default="", repr=False)
    message: str = ""


class CommandState(Enum):
    """What became of a command on a node."""

    UNSENT = "unsent"  # that step did not run
    WAITING = "waiting"  # not delivered, or still running
    SUCCESS = "success"
    FAILED = "failed"  # it ran, and did not end with 0
    UNDELIVERED = "undelivered"  # it never reached the node, was refused, or is known to nobody
    CUT_OFF = "cut-off"  # delivered, but its end was not heard of, or it took too long, or was cancelled


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """A command on one node. `output` is standard output alone, at most 24,000 characters."""

    id: str
    state: CommandState
    detail: str = ""  # the service's StatusDetails
    exit_code: int | None = None
    output: str = field(default="", repr=False)
    started_at: datetime | None = None
    ended_at: datetime | None = None


UNSENT = CommandResult(id="", state=CommandState.UNSENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchState:
    """The node's patch state as Systems Manager keeps it; each scan overwrites the one before."""

    operation: str  # Scan or Install
    ended_at: datetime | None
    installed: int = 0
    installed_other: int = 0
    pending_reboot: int = 0
    missing: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """The managed node as Systems Manager describes it now. `last_ping` may be 5 minutes old."""

    id: str
    platform: str  # Linux, Windows, MacOS
    online: bool
    last_ping: datetime | None
    source_id: str = ""
    source_type: str = ""
    name: str = ""
