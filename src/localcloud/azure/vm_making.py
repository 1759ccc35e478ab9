"""A virtual machine and its disks as a set-up asks for them, as documents that look like those of real ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from localcloud.azure import disks
from localcloud.azure.ids import ComputeId
from localcloud.azure.model import Disk, Document, VirtualMachine
from localcloud.azure.state import new_unique_id
from localcloud.azure.vm_swap import reference

IMAGES = {
    "Linux": {"publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server", "version": "latest"},
    "Windows": {
        "publisher": "MicrosoftWindowsServer",
        "offer": "WindowsServer",
        "sku": "2022-datacenter-g2",
        "version": "latest",
    },
}
CONFIDENTIAL = "ConfidentialVM_VMGuestStateOnlyEncryptedWithPlatformKey"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataDisk:
    """A data disk that a new virtual machine gets; `size` in GiB."""

    lun: int
    sku: str = "Premium_LRS"
    size: int = 16
    caching: str = "None"
    max_shares: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class VmSpec:
    """A virtual machine before it exists. `disk_size` in GiB; an empty `zone` is none.

    `network_interfaces` None: one is there. `security_type` as the virtual machine shows it.
    """

    name: str
    resource_group: str = "servers"
    os: Literal["Linux", "Windows"] = "Linux"
    size: str = "Standard_D2s_v5"
    location: str = "eastus"
    zone: str = ""
    disk_sku: str = "Premium_LRS"
    disk_size: int = 30
    security_type: str = "Standard"
    generation: str = "V2"
    data_disks: Sequence[DataDisk] = ()
    ephemeral: bool = False
    encryption_set: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    network_interfaces: Sequence[str] | None = None
    identities: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A virtual machine and its disks, by LUN; the OS disk of an ephemeral one is no resource."""

    machine: VirtualMachine
    os_disk: Disk
    data_disks: dict[int, Disk]


def make(spec: VmSpec, *, subscription: str, group: str, now: datetime) -> Made:
    """The resources that `spec` asks for; nobody knows them yet."""
    machine = VirtualMachine(
        id=ComputeId(subscription=subscription, group=group, kind="virtualMachines", name=spec.name),
        document=_framed(spec),
        unique_id=new_unique_id(),
        created_at=now,
        generation=spec.generation,
    )
    os_disk = _os_disk(spec, machine, now)
    data = {each.lun: _data_disk(spec, each, machine, now) for each in spec.data_disks}
    machine.document["properties"] = _properties(spec, machine) | {"storageProfile": _storage(spec, os_disk, data)}
    if spec.identities:
        identities: Document = {each: {} for each in spec.identities}
        machine.document["identity"] = {"type": "UserAssigned", "userAssignedIdentities": identities}
    for disk in (os_disk, *data.values()):
        disk.managed_by, disk.owned_at = str(machine.id), now
    return Made(machine=machine, os_disk=os_disk, data_disks=data)


def _framed(spec: VmSpec) -> Document:
    document: Document = {"location": spec.location}
    if spec.tags:
        document["tags"] = dict(spec.tags)
    if spec.zone:
        document["zones"] = [spec.zone]
    return document


def _disk(spec: VmSpec, machine: VirtualMachine, name: str, *, sku: str, properties: Document, now: datetime) -> Disk:
    document = {"location": spec.location, "sku": {"name": sku}, "properties": properties}
    if spec.zone and not sku.endswith("_ZRS"):
        document["zones"] = [spec.zone]
    if spec.tags:
        document["tags"] = dict(spec.tags)
    if spec.encryption_set:
        properties["encryption"] = {
            "type": "EncryptionAtRestWithCustomerKey",
            "diskEncryptionSetId": spec.encryption_set,
        }
    disks.complete(document, None)
    where = ComputeId(subscription=machine.id.subscription, group=machine.id.group, kind="disks", name=name)
    return Disk(id=where, document=document, unique_id=new_unique_id(), created_at=now)


def _os_disk(spec: VmSpec, machine: VirtualMachine, now: datetime) -> Disk:
    properties: Document = {
        "creationData": {"createOption": "FromImage"},
        "osType": spec.os,
        "hyperVGeneration": spec.generation,
        "diskSizeGB": spec.disk_size,
    }
    if spec.security_type != "Standard":
        confidential = spec.security_type == "ConfidentialVM"
        properties["securityProfile"] = {"securityType": CONFIDENTIAL if confidential else spec.security_type}
    return _disk(spec, machine, f"{spec.name}_OsDisk_1", sku=spec.disk_sku, properties=properties, now=now)


def _data_disk(spec: VmSpec, wanted: DataDisk, machine: VirtualMachine, now: datetime) -> Disk:
    properties: Document = {"creationData": {"createOption": "Empty"}, "diskSizeGB": wanted.size}
    if wanted.max_shares > 1:
        properties["maxShares"] = wanted.max_shares
    return _disk(spec, machine, f"{spec.name}_DataDisk_{wanted.lun}", sku=wanted.sku, properties=properties, now=now)


def _properties(spec: VmSpec, machine: VirtualMachine) -> Document:
    nic = str(machine.id).replace("Microsoft.Compute/virtualMachines", "Microsoft.Network/networkInterfaces") + "-nic"
    interfaces = [nic] if spec.network_interfaces is None else spec.network_interfaces
    configuration = "linuxConfiguration" if spec.os == "Linux" else "windowsConfiguration"
    properties: Document = {
        "hardwareProfile": {"vmSize": spec.size},
        "osProfile": {
            "computerName": spec.name[:15],
            "adminUsername": "operator",
            configuration: {"provisionVMAgent": True},
            "secrets": [],
            "allowExtensionOperations": True,
        },
        "networkProfile": {"networkInterfaces": [{"id": each} for each in interfaces]},
    }
    if spec.security_type != "Standard":
        properties["securityProfile"] = {
            "securityType": spec.security_type,
            "uefiSettings": {"secureBootEnabled": True, "vTpmEnabled": True},
        }
    return properties


def _storage(spec: VmSpec, os_disk: Disk, data: Mapping[int, Disk]) -> Document:
    os_entry: Document = {
        "osType": spec.os,
        "name": os_disk.id.name,
        "createOption": "FromImage",
        "caching": "ReadOnly" if spec.ephemeral else "ReadWrite",
        "managedDisk": reference(os_disk),
        "deleteOption": "Delete" if spec.ephemeral else "Detach",
        "diskSizeGB": spec.disk_size,
    }
    if spec.ephemeral:
        os_entry["diffDiskSettings"] = {"option": "Local", "placement": "CacheDisk"}
    caching = {each.lun: each.caching for each in spec.data_disks}
    entries = [
        {
            "lun": lun,
            "name": disk.id.name,
            "createOption": "Empty",
            "caching": caching[lun],
            "managedDisk": reference(disk),
            "deleteOption": "Detach",
            "diskSizeGB": disk.properties["diskSizeGB"],
            "toBeDetached": False,
        }
        for lun, disk in sorted(data.items())
    ]
    image = {**IMAGES[spec.os], "exactVersion": "1.0.0"}
    return {"imageReference": image, "osDisk": os_entry, "dataDisks": entries, "diskControllerType": "SCSI"}
