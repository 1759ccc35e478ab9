"""Disks that a call on a virtual machine makes along the way: its OS disk at creation, and new data disks."""

from dataclasses import dataclass
from typing import Any

from localcloud.azure import disks
from localcloud.azure.creation import Origin, origin
from localcloud.azure.errors import ArmError, missing, unsupported
from localcloud.azure.ids import ComputeId
from localcloud.azure.model import Disk, Document, VirtualMachine
from localcloud.azure.site import Call, Site
from localcloud.azure.state import new_unique_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A disk that will be there when the call is accepted, where its files come from, and its entry in the profile."""

    disk: Disk
    origin: Origin
    entry: Document


def wished(site: Site, call: Call, machine: VirtualMachine, entry: Document) -> Wish:
    """The new data disk that `entry` asks for; ArmError if that contradicts itself."""
    option, managed = entry["createOption"], entry.get("managedDisk") or {}
    if managed.get("id"):
        raise ArmError(
            400,
            "InvalidParameterConflictingProperties",
            f"Parameter 'dataDisk.managedDisk.id' is not allowed with createOption '{option}'.",
            target="dataDisk.managedDisk.id",
        )
    data: Document = {"createOption": option}
    if option in {"Copy", "Restore"}:
        source = (entry.get("sourceResource") or {}).get("id")
        if not source:
            raise missing("dataDisk.sourceResource.id")
        if "/restorepointcollections/" in source.lower():
            raise unsupported("restore points")
        data = {"createOption": "Copy", "sourceResourceId": source}
    number = entry["lun"]
    name = entry.get("name") or f"{machine.id.name}_DataDisk_{number}_{new_unique_id().replace('-', '')}"
    properties: Document = {"creationData": data}
    if isinstance(entry.get("diskSizeGB"), int):
        properties["diskSizeGB"] = entry["diskSizeGB"]
    entry = {"caching": "None", "deleteOption": "Detach", **entry}
    return _make(site, call, machine, name=name, properties=properties, entry=entry)


def os_disk(site: Site, call: Call, machine: VirtualMachine) -> Wish:
    """The OS disk that a new virtual machine gets from an image."""
    entry = machine.os_disk
    name = entry.get("name") or f"{machine.id.name}_OsDisk_1_{new_unique_id().replace('-', '')}"
    properties: Document = {
        "creationData": {"createOption": "FromImage"},
        "osType": entry["osType"],
        "hyperVGeneration": machine.generation,
    }
    if isinstance(entry.get("diskSizeGB"), int):
        properties["diskSizeGB"] = entry["diskSizeGB"]
    if machine.security_type != "Standard":
        properties["securityProfile"] = {"securityType": _disk_security(machine)}
    entry = {"caching": "ReadWrite", "deleteOption": "Detach", **entry}
    return _make(site, call, machine, name=name, properties=properties, entry=entry)


def _disk_security(machine: VirtualMachine) -> str:
    if machine.security_type != "ConfidentialVM":
        return machine.security_type
    managed: Any = machine.os_disk.get("managedDisk") or {}
    encryption = (managed.get("securityProfile") or {}).get("securityEncryptionType", "VMGuestStateOnly")
    return {
        "DiskWithVMGuestState": "ConfidentialVM_DiskEncryptedWithPlatformKey",
        "NonPersistedTPM": "ConfidentialVM_NonPersistedTPM",
    }.get(encryption, "ConfidentialVM_VMGuestStateOnlyEncryptedWithPlatformKey")


def _make(site: Site, call: Call, machine: VirtualMachine, *, name: str, properties: Document, entry: Document) -> Wish:
    managed = entry.get("managedDisk") or {}
    document: Document = {
        "location": machine.document["location"],
        "sku": {"name": managed.get("storageAccountType") or "Standard_LRS"},
        "properties": properties,
    }
    if machine.document.get("zones"):
        document["zones"] = list(machine.document["zones"])
    if machine.tags:
        document["tags"] = machine.tags
    encryption_set = (managed.get("diskEncryptionSet") or {}).get("id")
    if encryption_set:
        properties["encryption"] = {
            "type": "EncryptionAtRestWithCustomerKey",
            "diskEncryptionSetId": encryption_set,
        }
    found = origin(site, call, document)
    disks.complete(document, found.source)
    disk = Disk(
        id=ComputeId(subscription=machine.id.subscription, group=machine.id.group, kind="disks", name=name),
        document=document,
        unique_id=new_unique_id(),
        created_at=call.now,
    )
    if disk.key in site.state.disks:
        raise ArmError(409, "ConflictingUserInput", f"There is a disk '{disk.id}' already.", target="managedDisk")
    entry = {name: value for name, value in entry.items() if name != "sourceResource"}
    entry.update(
        name=disk.id.name,
        diskSizeGB=document["properties"]["diskSizeGB"],
        managedDisk={**managed, "id": str(disk.id), "storageAccountType": disk.sku},
    )
    return Wish(disk=disk, origin=found, entry=entry)


def keep(site: Site, machine: VirtualMachine, wish: Wish) -> None:
    """The disk is there from now on, owned by the virtual machine."""
    wish.disk.managed_by, wish.disk.owned_at = str(machine.id), wish.disk.created_at
    site.state.disks[wish.disk.key] = wish.disk


def fill(site: Site, wish: Wish) -> None:
    """Give the disk its files."""
    source = wish.origin.source
    if source is None:
        site.hardware.new_disk(wish.disk.unique_id, None)
    else:
        site.hardware.copy(source.unique_id, wish.disk.unique_id)
