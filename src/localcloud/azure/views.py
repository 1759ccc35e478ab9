"""How resources look from outside: their documents with ids, states and what follows from the clock."""

import copy
from datetime import datetime
from typing import Any

from localcloud.azure.hardware import Hardware
from localcloud.azure.ids import COMPUTE, key
from localcloud.azure.model import Disk, Document, Power, Resource, Snapshot, VirtualMachine
from localcloud.azure.state import State

# What an operation that runs makes of the power state.
PASSING = {
    "virtualMachines.start": "starting",
    "virtualMachines.powerOff": "stopping",
    "virtualMachines.deallocate": "deallocating",
    "virtualMachines.put.new": "creating",
    "virtualMachines.delete": "stopping",
}
_DISPLAYED = {
    "creating": "Creating",
    "starting": "VM starting",
    "running": "VM running",
    "stopping": "VM stopping",
    "stopped": "VM stopped",
    "deallocating": "VM deallocating",
    "deallocated": "VM deallocated",
}


def disk_view(disk: Disk, state: State) -> Document:
    """A managed disk as GET shows it."""
    shown = _framed(disk)
    properties = shown["properties"]
    owner = state.machines.get(key(disk.managed_by)) if disk.managed_by else None
    if disk.managed_by:
        shown["managedBy"] = disk.managed_by
    if disk.owned_at is not None:
        properties["LastOwnershipUpdateTime"] = disk.owned_at.isoformat()
    reserved = owner is not None and owner.power is Power.DEALLOCATED
    properties["diskState"] = "Unattached" if not disk.managed_by else "Reserved" if reserved else "Attached"
    return shown


def snapshot_view(snapshot: Snapshot, now: datetime) -> Document:
    """A snapshot as GET shows it."""
    shown = _framed(snapshot)
    properties = shown["properties"]
    properties["diskState"] = "Unattached"
    properties["completionPercent"] = completion(snapshot, now)
    if snapshot.background:
        properties["snapshotAccessState"] = access_state(snapshot, now)
    return shown


def completion(snapshot: Snapshot, now: datetime) -> float:
    """How much of the background copy is done, in percent; 100 for snapshots that need none."""
    if snapshot.stuck_at is not None:
        return snapshot.stuck_at
    if snapshot.copied_at is None or now >= snapshot.copied_at:
        return 100.0
    whole = (snapshot.copied_at - snapshot.created_at).total_seconds()
    return round(max(0.0, (now - snapshot.created_at).total_seconds() / whole) * 100, 1)


def access_state(snapshot: Snapshot, now: datetime) -> str:
    """Whether disks can be made from it. Source: reference/azure-compute, section 7.1."""
    instant = snapshot.instant_until is not None and now < snapshot.instant_until
    if completion(snapshot, now) >= 100:
        return "AvailableWithInstantAccess" if instant else "Available"
    return "InstantAccess" if instant else "Pending"


def usable(snapshot: Snapshot, now: datetime) -> bool:
    """Whether a disk can be made from it now."""
    return snapshot.provisioning == "Succeeded" and access_state(snapshot, now) != "Pending"


def power_word(machine: VirtualMachine, hardware: Hardware) -> str:
    """The power state, as an operation or the machine itself makes it."""
    if machine.doing in PASSING:
        return PASSING[machine.doing]
    if machine.power is Power.RUNNING and not machine.doing and not hardware.running(machine.unique_id):
        return "stopped"  # its system shut itself down
    return machine.power.value


def machine_view(
    machine: VirtualMachine, hardware: Hardware, *, expand: str = "", status_only: bool = False
) -> Document:
    """A virtual machine as GET shows it; instance view and user data on demand only."""
    shown = _framed(machine)
    properties = shown["properties"]
    properties["vmId"] = machine.unique_id
    shown["etag"] = f'"{machine.etag}"'
    user_data = properties.pop("userData", None)
    if user_data is not None and "userdata" in expand.lower():
        properties["userData"] = user_data
    (properties.get("osProfile") or {}).pop("adminPassword", None)  # secrets go in and never come out
    if "instanceview" in expand.lower() or status_only:
        properties["instanceView"] = instance_view(machine, hardware)
    if status_only:
        shown["properties"] = {
            name: properties[name] for name in ("vmId", "provisioningState", "instanceView", "timeCreated")
        }
    return shown


def instance_view(machine: VirtualMachine, hardware: Hardware) -> Document:
    """What a virtual machine does now."""
    power = power_word(machine, hardware)
    succeeded = {"code": "ProvisioningState/succeeded", "level": "Info", "displayStatus": "Provisioning succeeded"}
    disks = [machine.os_disk, *machine.data_disks]
    view: dict[str, Any] = {
        "hyperVGeneration": machine.generation,
        "disks": [{"name": disk.get("name", ""), "statuses": [succeeded]} for disk in disks],
        "statuses": [
            _provisioning_status(machine),
            {"code": f"PowerState/{power}", "level": "Info", "displayStatus": _DISPLAYED[power]},
        ],
    }
    computer = (machine.properties.get("osProfile") or {}).get("computerName")
    if power == "running":
        view["vmAgent"] = _guest_agent(ready=hardware.responds(machine.unique_id))
        if computer:
            view["computerName"] = computer
    return view


def _guest_agent(*, ready: bool) -> Document:
    """What Azure's own agent on the VM reported last, or that it does not report."""
    if ready:
        told = {"code": "ProvisioningState/succeeded", "level": "Info", "displayStatus": "Ready"}
        return {"vmAgentVersion": "2.9.1.1", "statuses": [{**told, "message": "Guest Agent is running"}]}
    told = {"code": "ProvisioningState/Unavailable", "level": "Warning", "displayStatus": "Not Ready"}
    silent = {**told, "message": "VM status blob is found but not yet populated."}
    return {"vmAgentVersion": "Unknown", "statuses": [silent]}


def _provisioning_status(machine: VirtualMachine) -> Document:
    word = machine.provisioning.lower()
    status = {
        "code": f"ProvisioningState/{word}",
        "level": "Error" if word == "failed" else "Info",
        "displayStatus": f"Provisioning {word}",
    }
    if machine.failure and word == "failed":
        status["code"] += f"/{machine.failure}"
    return status


def _framed(resource: Resource) -> Document:
    """The document with what every resource shows."""
    shown = {
        "id": str(resource.id),
        "name": resource.id.name,
        "type": f"{COMPUTE}/{resource.id.kind}",
        **copy.deepcopy(resource.document),
    }
    properties = shown.setdefault("properties", {})
    properties["provisioningState"] = resource.provisioning
    properties["timeCreated"] = resource.created_at.isoformat()
    if not isinstance(resource, VirtualMachine):
        properties["uniqueId"] = resource.unique_id
        if isinstance(properties.get("diskSizeGB"), int):
            properties["diskSizeBytes"] = properties["diskSizeGB"] * 2**30
    return shown
