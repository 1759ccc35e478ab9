"""The exchange of an OS disk: what may change in `osDisk`, and which disks fit. Source: azure-compute, section 7.3."""

from localcloud.azure.errors import ArmError, invalid, missing, not_allowed, not_changeable
from localcloud.azure.ids import key, location_key
from localcloud.azure.model import Disk, Document, VirtualMachine
from localcloud.azure.site import Site
from localcloud.azure.state import missing_resource
from localcloud.azure.views import power_word

FIXED = ("createOption", "osType", "vhd", "image", "diffDiskSettings", "encryptionSettings")
_ORDER = {"running": 0, "stopped": 1, "deallocated": 2}


def plan(site: Site, machine: VirtualMachine, goal: Document) -> Disk | None:
    """The disk that becomes the OS disk if `goal` is written, or None if it stays; completes `goal`.

    409 PropertyChangeNotAllowed for members that are fixed, 409 OperationNotAllowed for a disk that does not fit.
    """
    current = machine.os_disk
    for name in FIXED:
        if goal.get(name, current.get(name)) != current.get(name):
            raise not_changeable(f"osDisk.{name}")
    wanted, had = str((goal.get("managedDisk") or {}).get("id", "")), machine.os_disk_id
    if wanted and not had:
        raise not_allowed("Addition of a managed disk to a VM with blob based disks is not supported.", "osDisk")
    if not wanted or key(wanted) == key(had):
        if goal.get("name", current.get("name")) != current.get("name"):
            raise not_changeable("osDisk.name")
        _check_size(goal, current.get("diskSizeGB"))
        goal["managedDisk"] = current.get("managedDisk") or {}
        return None
    return _swap(site, machine, goal, wanted)


def check_zone(machine: VirtualMachine, disk: Disk) -> None:
    """409 if the disk does not lie where the virtual machine does; zone-redundant disks lie everywhere."""
    zones = machine.document.get("zones") or []
    own = disk.document.get("zones") or []
    if disk.sku.endswith("_ZRS") or zones == own:
        return
    raise not_allowed(
        f"Disk '{disk.id.name}' cannot be attached to the VM because it is not in the same zone as the VM. "
        f"VM zone: '{''.join(zones)}'. Disk zone: '{''.join(own)}'.",
        "managedDisk.id",
    )


def _swap(site: Site, machine: VirtualMachine, goal: Document, wanted: str) -> Disk:
    disk = site.state.disks.get(key(wanted))
    if disk is None:
        raise missing_resource(wanted)
    if machine.ephemeral:
        raise not_allowed("The OS disk of a VM with an ephemeral OS disk cannot be exchanged.", "osDisk")
    if disk.managed_by:
        raise ArmError(
            409,
            "ConflictingUserInput",
            f"Disk '{disk.id}' cannot be attached as the disk is already owned by VM '{disk.managed_by}'.",
            target="osDisk",
        )
    site.free_to_write(disk)
    if disk.provisioning != "Succeeded":
        raise not_allowed(f"Disk '{disk.id}' is in provisioning state {disk.provisioning}.", "osDisk")
    _check_power(site, machine)
    _check_fit(site, machine, disk)
    if goal.get("name", disk.id.name) != disk.id.name:
        # The name belongs to the disk: an old name with a new id contradicts itself.
        raise not_changeable("osDisk.name")
    account = (goal.get("managedDisk") or {}).get("storageAccountType")
    if account and account != disk.sku:
        raise not_changeable("osDisk.managedDisk.storageAccountType")
    size = disk.properties.get("diskSizeGB")
    if goal.get("diskSizeGB") != machine.os_disk.get("diskSizeGB"):  # what GET showed asks for nothing
        _check_size(goal, size)
    goal.update(name=disk.id.name, diskSizeGB=size, managedDisk=reference(disk))
    return disk


def reference(disk: Disk) -> Document:
    """`managedDisk` of a virtual machine that has this disk."""
    found: Document = {"id": str(disk.id), "storageAccountType": disk.sku}
    encryption_set = _encryption_set(disk)
    if encryption_set:
        found["diskEncryptionSet"] = {"id": encryption_set}
    return found


def _check_power(site: Site, machine: VirtualMachine) -> None:
    power = power_word(machine, site.hardware)
    if _ORDER.get(power, 0) < _ORDER[site.choices.swap_needs]:
        needed = "deallocated" if site.choices.swap_needs == "deallocated" else "stopped or deallocated"
        raise not_allowed(
            f"The OS disk of VM '{machine.id.name}' can only be exchanged while the VM is {needed}; it is {power}.",
            "osDisk",
        )


def _check_fit(site: Site, machine: VirtualMachine, disk: Disk) -> None:
    """Everything in which the new disk must be as the old one, or as the virtual machine."""
    properties = disk.properties
    if location_key(disk.document["location"]) != location_key(machine.document["location"]):
        raise invalid(f"Disk '{disk.id.name}' lies in another location than the VM.", "osDisk.managedDisk.id")
    check_zone(machine, disk)
    if not properties.get("osType"):
        raise missing("osType")
    if properties["osType"] != machine.os_disk.get("osType"):
        raise not_changeable("osDisk.osType")
    if disk.sku == "UltraSSD_LRS":
        raise not_allowed("An Ultra disk cannot be an OS disk.", "osDisk.managedDisk.storageAccountType")
    old = site.state.disks.get(key(machine.os_disk_id))
    had = old.properties if old is not None else {"diskSizeGB": machine.os_disk.get("diskSizeGB")}
    _same("hypervisor generation", properties.get("hyperVGeneration") or "V1", machine.generation)
    _same("security type", _security(properties), _security(had))
    _same("disk size in GB", properties.get("diskSizeGB"), had.get("diskSizeGB"))
    _same("disk encryption set", _encryption_set(disk).lower(), _encryption_set(old).lower() if old else "")
    _same("Azure Disk Encryption", _encrypted(properties), _encrypted(had))


def _same(what: str, new: object, needed: object) -> None:
    if new != needed:
        raise not_allowed(
            f"The OS disk cannot be exchanged: the {what} of the new disk is '{new}', not '{needed}'.", "osDisk"
        )


def _security(properties: Document) -> str:
    return str((properties.get("securityProfile") or {}).get("securityType") or "Standard")


def _encryption_set(disk: Disk | None) -> str:
    return str((disk.properties.get("encryption") or {}).get("diskEncryptionSetId") or "") if disk else ""


def _encrypted(properties: Document) -> bool:
    return bool((properties.get("encryptionSettingsCollection") or {}).get("enabled"))


def _check_size(goal: Document, before: int | None) -> None:
    after = goal.get("diskSizeGB")
    if after is None or before is None or after == before:
        return
    if after < before:
        message = f"Disk size reduction is not supported. Current size is {before} GB, requested size is {after} GB."
        raise ArmError(409, "ResizeDiskError", message, target="osDisk.diskSizeGB")
    raise not_allowed("Resize the disk itself, not through the VM.", "osDisk.diskSizeGB")
