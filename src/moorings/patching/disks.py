"""Snapshot, replacement disk and the VM's disks as Azure wants them sent: pure, from wire form to wire form.

What is carried over, and why: the compute reference's sections on disks made from snapshots; defaults would make a
Standard disk without zone or encryption out of a Premium one.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from moorings.patching.model import CheckpointDisk
from moorings.patching.observed import Attachment, Disk, Snapshot, Vm, same_id

INSTANT_SKUS = frozenset({"PremiumV2_LRS", "UltraSSD_LRS"})  # their snapshots are ready only after a copy
INSTANT_ACCESS = timedelta(hours=5)
_READY_STATES = frozenset({"Available", "InstantAccess", "AvailableWithInstantAccess"})
_CARRIED = (
    "osType", "hyperVGeneration", "diskSizeGB", "maxShares", "supportedCapabilities", "purchasePlan",
    "supportsHibernation", "encryptionSettingsCollection", "networkAccessPolicy", "diskAccessId", "publicNetworkAccess",
    "dataAccessAuthMode", "optimizedForFrequentAttach", "availabilityPolicy",
)  # fmt: skip
# Azure shows these for any disk, worked out from its size, and takes them only for disks that let them be chosen.
_CHOSEN: Mapping[str, tuple[str, ...]] = {
    "PremiumV2_LRS": ("diskIOPSReadWrite", "diskMBpsReadWrite"),
    "UltraSSD_LRS": ("diskIOPSReadWrite", "diskMBpsReadWrite"),
    "Premium_LRS": ("tier", "burstingEnabled"),
    "Premium_ZRS": ("tier", "burstingEnabled"),
}
_ATTACHMENT = ("caching", "writeAcceleratorEnabled", "deleteOption")


def snapshot_body(disk: Disk, *, tags: Mapping[str, str]) -> dict[str, Any]:
    """The body of the PUT that takes a snapshot of `disk`: incremental where Azure can, closed to export."""
    source: dict[str, Any] = {"createOption": "Copy", "sourceResourceId": disk.id}
    if disk.sku in INSTANT_SKUS:
        source["instantAccessDurationMinutes"] = int(INSTANT_ACCESS.total_seconds() // 60)
    return {
        "location": disk.location,
        "tags": dict(tags),
        "properties": {
            "incremental": True,
            "networkAccessPolicy": "DenyAll",
            "publicNetworkAccess": "Disabled",
            "creationData": source,
        },
    }


def snapshot_state(snapshot: Snapshot | None, *, source_unique_id: str) -> tuple[bool, str]:
    """Whether a disk can be made from the snapshot now, and, if it never will be, why not."""
    if snapshot is None:
        return False, "the snapshot is gone"
    if snapshot.source_unique_id and source_unique_id and snapshot.source_unique_id != source_unique_id:
        return False, "the snapshot is of another disk"
    state = snapshot.provisioning
    if state.lower() in {"failed", "canceled"}:
        return False, f"Azure says that the snapshot is {state}"
    if state.lower() != "succeeded":
        return False, ""
    if snapshot.access_state:
        return snapshot.access_state in _READY_STATES, ""
    # Disks on Standard and Premium SSD report 100 at once, or nothing at all.
    return snapshot.percent is None or snapshot.percent >= 100, ""


def replacement_body(entry: CheckpointDisk, *, tags: Mapping[str, str]) -> dict[str, Any]:
    """The body of the PUT that makes the disk which takes the source's place."""
    wire = entry.disk
    source = wire.get("properties") or {}
    sku = str((wire.get("sku") or {}).get("name") or "")
    carried = (*_CARRIED, *_CHOSEN.get(sku, ()))
    properties: dict[str, Any] = {key: source[key] for key in carried if source.get(key) is not None}
    properties["creationData"] = _creation(entry, source)
    encryption = {key: value for key, value in (source.get("encryption") or {}).items() if value is not None}
    if encryption:
        properties["encryption"] = encryption
    security = {
        key: value for key, value in (source.get("securityProfile") or {}).items() if key != "confidentialVMVersion"
    }
    if security:
        properties["securityProfile"] = security
    body: dict[str, Any] = {"location": wire.get("location", ""), "tags": dict(tags), "properties": properties}
    if sku:
        body["sku"] = {"name": sku}
    if wire.get("zones"):
        body["zones"] = list(wire["zones"])
    if wire.get("extendedLocation"):
        body["extendedLocation"] = wire["extendedLocation"]
    return body


def _creation(entry: CheckpointDisk, source: Mapping[str, Any]) -> dict[str, Any]:
    creation: dict[str, Any] = {"createOption": "Copy", "sourceResourceId": entry.snapshot_id}
    made = source.get("creationData") or {}
    # Both can be chosen only when a disk is made.
    creation.update({key: made[key] for key in ("logicalSectorSize", "performancePlus") if made.get(key) is not None})
    return creation


def storage_with(vm: Vm, *, os_disk: str, data: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """The VM's storage profile with other disks: `os_disk` is the id of the OS disk, `data` the entries by LUN.

    What lies at a LUN of `data` and is another disk is detached, and comes in its place with the next write. Everything
    else stays as the VM shows it, because a disk that is left out is detached.
    """
    profile = {key: value for key, value in vm.storage.items() if key not in {"osDisk", "dataDisks"}}
    profile["osDisk"] = _named(vm.os_disk.wire, os_disk)
    disks = [dict(disk.wire) for disk in vm.data_disks if _stays(disk, data)]
    occupied = {disk.lun for disk in vm.data_disks}
    # A disk can come to a LUN only once the former one has left it: that takes two writes.
    disks += [dict(entry) for lun, entry in sorted(data.items()) if lun not in occupied]
    profile["dataDisks"] = disks
    return profile


def attachment_of(entry: CheckpointDisk, disk_id: str) -> dict[str, Any]:
    """The VM's entry for a data disk in the place of the one that the checkpoint knows: same LUN, same caching."""
    kept = {key: entry.attachment[key] for key in _ATTACHMENT if entry.attachment.get(key) is not None}
    return {**kept, "lun": entry.lun, "createOption": "Attach", "managedDisk": {"id": disk_id}}


def _stays(disk: Attachment, data: Mapping[int, Mapping[str, Any]]) -> bool:
    entry = None if disk.lun is None else data.get(disk.lun)
    return entry is None or same_id(entry["managedDisk"]["id"], disk.disk_id)


def _named(wire: Mapping[str, Any], disk_id: str) -> dict[str, Any]:
    """The OS disk's entry for another disk. `createOption` may never change, old storage and encryption values could
    contradict the new disk."""
    entry = {key: value for key, value in wire.items() if key not in {"managedDisk", "name", "vhd", "image"}}
    return {**entry, "name": disk_id.rstrip("/").rsplit("/", 1)[-1], "managedDisk": {"id": disk_id}}
