"""What a written storage profile means for disks: which are exchanged, attached, detached, made; and what is refused.

Source: reference/azure-compute, sections 7.3 and 7.4. `plan` looks and decides, nothing changes before `apply`.
"""

from dataclasses import dataclass, field

from localcloud.azure import vm_swap
from localcloud.azure.errors import ArmError, invalid, missing, not_changeable
from localcloud.azure.ids import key, location_key
from localcloud.azure.model import Disk, Document, VirtualMachine
from localcloud.azure.operations import Operation
from localcloud.azure.site import Call, Site
from localcloud.azure.state import missing_resource
from localcloud.azure.vm_disks import Wish, os_disk, wished


@dataclass(slots=True, kw_only=True)
class StorageChange:
    """A storage profile that a virtual machine will have, and the disks that move for it."""

    profile: Document
    new_os_disk: Disk | None = None
    attached: dict[int, Disk] = field(default_factory=dict)  # by LUN
    detached: dict[int, Disk] = field(default_factory=dict)
    wishes: list[Wish] = field(default_factory=list)  # data disks to be made along the way

    @property
    def touched(self) -> frozenset[str]:
        """The keys of all disks that move."""
        disks = [*self.attached.values(), *self.detached.values(), *([self.new_os_disk] if self.new_os_disk else [])]
        return frozenset(disk.key for disk in disks)


def plan(site: Site, call: Call, machine: VirtualMachine, goal: Document) -> StorageChange:
    """What has to be done so that `machine` has the storage profile `goal`; ArmError if Azure would refuse it."""
    change = StorageChange(profile=goal)
    if goal.get("imageReference", machine.storage.get("imageReference")) != machine.storage.get("imageReference"):
        _check_image(machine, goal)
    new_os_disk = vm_swap.plan(site, machine, goal["osDisk"])
    if new_os_disk is not None:
        change.new_os_disk = new_os_disk
    _plan_data_disks(site, call, machine, change)
    for disk in [*change.attached.values(), *change.detached.values()]:
        site.free_to_write(disk)
    return change


def plan_new(site: Site, call: Call, machine: VirtualMachine, wishes: list[Wish]) -> dict[int, Disk]:
    """The disks that a new virtual machine takes, by LUN (-1: the OS disk); those to be made are added to `wishes`."""
    existing: dict[int, Disk] = {}
    change = StorageChange(profile={"dataDisks": machine.storage.get("dataDisks") or []}, wishes=wishes)
    entry = machine.os_disk
    wanted = str((entry.get("managedDisk") or {}).get("id", ""))
    if entry["createOption"] == "Attach" and wanted:
        existing[-1] = change.new_os_disk = disk = _attachable(site, call, machine, change, wanted)
        machine.generation = disk.properties.get("hyperVGeneration") or "V1"
        entry.update(name=disk.id.name, diskSizeGB=disk.properties["diskSizeGB"], managedDisk=vm_swap.reference(disk))
    elif not entry.get("vhd") and not machine.ephemeral:
        wish = os_disk(site, call, machine)
        machine.storage["osDisk"] = wish.entry
        wishes.append(wish)
    entries, seen = [], set[int]()
    for each in change.profile["dataDisks"]:
        _lun(each, seen)
        unmanaged = bool(each.get("vhd"))
        entries.append(each if unmanaged else _plan_entry(site, call, machine, change, present=None, entry=each))
    machine.storage["dataDisks"] = entries
    made = {wish.disk.key for wish in wishes}
    return existing | {lun: disk for lun, disk in change.attached.items() if disk.key not in made}


def apply(site: Site, machine: VirtualMachine, change: StorageChange, operation: Operation) -> None:
    """Let the state show what the hardware has done."""
    at = operation.ended_at
    if change.new_os_disk is not None:
        for disk in site.state.owned_by(machine):
            if disk.key == key(machine.os_disk_id):
                disk.managed_by = ""
        change.new_os_disk.managed_by, change.new_os_disk.owned_at = str(machine.id), at
    for disk in change.detached.values():
        disk.managed_by = ""
    for disk in change.attached.values():
        disk.managed_by, disk.owned_at = str(machine.id), at


def move(site: Site, machine: VirtualMachine, change: StorageChange) -> None:
    """Exchange the disks in the hardware. A machine that runs is switched off and on for another OS disk."""
    hardware, vm = site.hardware, machine.unique_id
    for lun in change.detached:
        hardware.detach(vm, lun)
    if change.new_os_disk is not None:
        running = hardware.running(vm)
        if running:
            hardware.power_off(vm, hard=True)
        hardware.insert_os(vm, change.new_os_disk.unique_id)
        if running:
            hardware.power_on(vm)
    for lun, disk in change.attached.items():
        hardware.attach(vm, lun, disk.unique_id)


def _check_image(machine: VirtualMachine, goal: Document) -> None:
    """Members that only the service knows may be missing from what is written back."""
    before, after = machine.storage.get("imageReference") or {}, goal.get("imageReference") or {}
    if {**before, **after} != before:
        raise not_changeable("imageReference")
    goal["imageReference"] = before


def _plan_data_disks(site: Site, call: Call, machine: VirtualMachine, change: StorageChange) -> None:
    given = change.profile.get("dataDisks")
    if given is None:
        change.profile["dataDisks"] = machine.data_disks
        return
    present = {disk["lun"]: disk for disk in machine.data_disks}
    goal: list[Document] = []
    seen: set[int] = set()
    for entry in given:
        lun = _lun(entry, seen)
        if entry.get("toBeDetached"):
            continue
        goal.append(_plan_entry(site, call, machine, change, present=present.get(lun), entry=entry))
    staying = {entry["lun"] for entry in goal}
    for lun, entry in present.items():
        if lun not in staying:
            _detach(site, change, lun, entry)
    change.profile["dataDisks"] = goal


def _lun(entry: Document, seen: set[int]) -> int:
    lun = entry.get("lun")
    if not isinstance(lun, int) or isinstance(lun, bool) or not 0 <= lun <= 63:
        raise missing("dataDisk.lun") if lun is None else invalid(f"The LUN '{lun}' is out of range.", "dataDisk.lun")
    if lun in seen:
        raise invalid(f"A disk at LUN {lun} already exists.", "dataDisk.lun")
    seen.add(lun)
    return lun


def _plan_entry(
    site: Site, call: Call, machine: VirtualMachine, change: StorageChange, *, present: Document | None, entry: Document
) -> Document:
    if not entry.get("createOption"):
        raise missing("dataDisk.createOption")
    wanted = str((entry.get("managedDisk") or {}).get("id", ""))
    if present is not None:
        had = str((present.get("managedDisk") or {}).get("id", ""))
        if not wanted or key(wanted) == key(had):
            return _keep(present, entry)
        if not site.choices.same_lun_replacement:
            raise ArmError(
                409,
                "ConflictingUserInput",
                f"Disk '{wanted}' cannot be attached at LUN {entry['lun']}: detach '{had}' first.",
                target="dataDisks",
            )
        _detach(site, change, entry["lun"], present)
    if entry["createOption"] != "Attach":
        made = wished(site, call, machine, entry)
        if any(made.disk.key == other.disk.key for other in change.wishes):
            raise _named_twice(made.disk)
        change.wishes.append(made)
        change.attached[entry["lun"]] = made.disk
        return made.entry
    if not wanted:
        raise missing("dataDisk.managedDisk.id")
    disk = _attachable(site, call, machine, change, wanted)
    change.attached[entry["lun"]] = disk
    shown = {"name": disk.id.name, "caching": "None", "deleteOption": "Detach", **entry}
    return {
        **shown,
        "diskSizeGB": disk.properties["diskSizeGB"],
        "managedDisk": {"id": str(disk.id), "storageAccountType": disk.sku},
    }


def _keep(present: Document, entry: Document) -> Document:
    if entry["createOption"] != present["createOption"]:
        raise not_changeable("dataDisk.createOption")
    if entry.get("name", present.get("name")) != present.get("name"):
        raise not_changeable("dataDisk.name")
    return {**present, **entry, "managedDisk": present.get("managedDisk") or {}}


def _detach(site: Site, change: StorageChange, lun: int, entry: Document) -> None:
    disk = site.state.disks.get(key(str((entry.get("managedDisk") or {}).get("id", ""))))
    if disk is not None:
        change.detached[lun] = disk


def _attachable(site: Site, call: Call, machine: VirtualMachine, change: StorageChange, disk_id: str) -> Disk:
    disk = site.state.disks.get(key(disk_id))
    if disk is None:
        raise missing_resource(disk_id)
    if site.faults.happens("detaching", call.route.action, call.route.scope):
        raise ArmError(
            409,
            "AttachDiskWhileBeingDetached",
            f"Cannot attach data disk '{disk.id.name}' to VM '{machine.id.name}' because the disk is currently being "
            "detached or the last detach operation failed. Please wait until the disk is completely detached and then "
            "try again or delete/detach the disk explicitly again.",
            target="dataDisks",
        )
    if disk.managed_by:
        raise in_use(disk)
    if disk.key in change.touched:
        raise _named_twice(disk)
    site.free_to_write(disk)
    if location_key(disk.document["location"]) != location_key(machine.document["location"]):
        raise invalid(f"Disk '{disk.id.name}' lies in another location than the VM.", "dataDisk.managedDisk.id")
    vm_swap.check_zone(machine, disk)
    return disk


def _named_twice(disk: Disk) -> ArmError:
    return invalid(f"The disk '{disk.id}' is named more than once in the storage profile.", "storageProfile")


def in_use(disk: Disk) -> ArmError:
    """409 for a disk that has an owner."""
    return ArmError(
        409,
        "ConflictingUserInput",
        f"Disk '{disk.id}' cannot be attached as the disk is already owned by VM '{disk.managed_by}'.",
        target="dataDisks",
    )
