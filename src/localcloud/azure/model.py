"""What the compute provider keeps: disks, snapshots, virtual machines, with the state that no answer shows directly."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from localcloud.azure.ids import ComputeId, key

# Resource documents are nested JSON objects in wire names; every reader gets a copy.
Document = dict[str, Any]

V2_AND_ULTRA = frozenset({"PremiumV2_LRS", "UltraSSD_LRS"})


class Power(Enum):
    """A virtual machine's power state while no operation changes it."""

    RUNNING = "running"
    STOPPED = "stopped"
    DEALLOCATED = "deallocated"


@dataclass(slots=True, kw_only=True)
class Resource:
    """A resource: its document without `id`, `name`, `type`, and what the provider knows besides.

    `unique_id` names its files (or its machine) to the hardware: a name may come back, a unique id never does.
    """

    id: ComputeId
    document: Document
    unique_id: str
    created_at: datetime
    provisioning: str = "Succeeded"
    failure: str = ""  # the code of the operation that failed last

    @property
    def key(self) -> str:
        """Its id, as ids are compared."""
        return key(str(self.id))

    @property
    def properties(self) -> Document:
        """The document's `properties`."""
        found: Document = self.document.setdefault("properties", {})
        return found

    @property
    def tags(self) -> dict[str, str]:
        """Its tags; to change them, write to the document."""
        return dict(self.document.get("tags") or {})

    @property
    def sku(self) -> str:
        """The name of its SKU, empty if it has none."""
        return str((self.document.get("sku") or {}).get("name", ""))


@dataclass(slots=True, kw_only=True)
class Disk(Resource):
    """A managed disk. `managed_by` is the owning virtual machine's id, empty while it is unattached."""

    managed_by: str = ""
    owned_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class Snapshot(Resource):
    """A snapshot. Its background copy (v2, Ultra, other regions) runs until `copied_at`; None: it never ends."""

    source_unique_id: str = ""
    background: bool = False
    copied_at: datetime | None = None
    stuck_at: float | None = None  # percent at which the copy stands still
    instant_until: datetime | None = None


@dataclass(slots=True, kw_only=True)
class VirtualMachine(Resource):
    """A virtual machine; its `unique_id` is its vmId."""

    power: Power = Power.RUNNING
    etag: int = 1
    generation: str = "V2"
    doing: str = ""  # the operation that runs, in the words of its route; empty if none

    @property
    def ephemeral(self) -> bool:
        """Whether its OS disk lives on the host and is no resource."""
        disk = self.os_disk
        return bool((disk.get("diffDiskSettings") or {}).get("option") == "Local")

    @property
    def storage(self) -> Document:
        """Its storage profile."""
        found: Document = self.properties.setdefault("storageProfile", {})
        return found

    @property
    def os_disk(self) -> Document:
        """The storage profile's `osDisk`."""
        found: Document = self.storage.setdefault("osDisk", {})
        return found

    @property
    def os_disk_id(self) -> str:
        """The id of its managed OS disk; empty for an unmanaged one."""
        return str((self.os_disk.get("managedDisk") or {}).get("id", ""))

    @property
    def data_disks(self) -> list[Document]:
        """The storage profile's `dataDisks`."""
        found: list[Document] = self.storage.setdefault("dataDisks", [])
        return found

    @property
    def security_type(self) -> str:
        """Standard, TrustedLaunch or ConfidentialVM."""
        return str((self.properties.get("securityProfile") or {}).get("securityType") or "Standard")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks: the object id of a service principal, and its application. The operator may do everything."""

    object_id: str
    application_id: str
    operator: bool = False


@dataclass(slots=True, kw_only=True)
class Group:
    """A resource group."""

    name: str
    location: str
    tags: dict[str, str] = field(default_factory=dict)
