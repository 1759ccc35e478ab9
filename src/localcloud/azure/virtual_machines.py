"""Virtual machines: get, list, put, patch, delete, attach and detach. Source: reference/azure-compute, section 3."""

from collections.abc import Callable, Iterable
from typing import Any

from localcloud.azure import changes, members, vm_disks, vm_storage
from localcloud.azure.errors import ArmError, invalid, missing
from localcloud.azure.ids import key, location_key
from localcloud.azure.model import Disk, Document, Power, VirtualMachine
from localcloud.azure.operations import Operation
from localcloud.azure.site import Call, Reply, Site, check_location, check_tags
from localcloud.azure.views import instance_view, machine_view
from localcloud.azure.vm_documents import linked_rights, merged, new_machine
from localcloud.azure.vm_storage import StorageChange

DELETE = "Delete"


def get(site: Site, call: Call) -> Reply:
    """One virtual machine; `$expand=instanceView` adds what it does now."""
    machine = find(site, call)
    expand = call.query.get("$expand", "")
    return Reply(status=200, document=machine_view(machine, site.hardware, expand=expand))


def get_instance_view(site: Site, call: Call) -> Reply:
    """What one virtual machine does now."""
    return Reply(status=200, document=instance_view(find(site, call), site.hardware))


def list_all(site: Site, call: Call) -> Reply:
    """The virtual machines of a group, a location or the subscription; `statusOnly=true` shows their states alone."""
    if call.route.group:
        site.state.group(call.route.subscription, call.route.group)
    status_only = call.query.get("statusOnly", "").lower() == "true"
    expand = call.query.get("$expand", "")
    place = location_key(call.route.location)
    return Reply(
        status=200,
        document=[
            machine_view(each, site.hardware, expand=expand, status_only=status_only)
            for each in changes.in_group(call, site.state.machines.values())
            if not place or location_key(each.document["location"]) == place
        ],
    )


def put(site: Site, call: Call) -> Reply:
    """Create a virtual machine, or write its document anew."""
    group = site.state.group(call.route.subscription, call.route.group)
    document = call.document
    _check_document(site, call, "virtualMachines.put", document)
    machine = site.state.machines.get(key(call.route.scope))
    check_location(document, machine)
    check_conditions(call, machine)
    if machine is None:
        return _create(site, call, new_machine(call, group.name, document))
    site.free_to_write(machine)
    return _update(site, call, machine, document, whole=True)


def patch(site: Site, call: Call) -> Reply:
    """Change parts of a virtual machine."""
    document = call.document
    machine = find(site, call)
    _check_document(site, call, "virtualMachines.patch", document)
    check_conditions(call, machine)
    site.free_to_write(machine)
    return _update(site, call, machine, document, whole=False)


def attach_detach(site: Site, call: Call) -> Reply:
    """Attach and detach data disks in one call; its result is the storage profile."""
    machine = find(site, call)
    document = call.document
    members.check(call.route.operation, document)
    check_conditions(call, machine)
    site.free_to_write(machine)
    going = {key(str(each.get("diskId", ""))) for each in document.get("dataDisksToDetach") or []}
    present = {key(str((each.get("managedDisk") or {}).get("id", ""))) for each in machine.data_disks}
    if going - present:
        raise invalid(f"Disk '{min(going - present)}' is not attached to the VM.", "dataDisksToDetach")
    entries = [
        each for each in machine.data_disks if key(str((each.get("managedDisk") or {}).get("id", ""))) not in going
    ]
    for each in document.get("dataDisksToAttach") or []:
        entries.append(_attached_entry(each, {entry["lun"] for entry in entries}))
    changed: Document = {"properties": {"storageProfile": {"dataDisks": entries}}}
    site.rbac.check_linked(call.caller, call.route.action, call.route.scope, linked_rights(machine, changed))
    goal = merged(machine, changed, whole=False)
    change = vm_storage.plan(site, call, machine, goal["properties"]["storageProfile"])
    operation = _changing(site, call, machine, goal, change)
    operation.result = lambda: machine_view(machine, site.hardware)["properties"]["storageProfile"]
    return Reply(status=202, operation=operation)


def delete(site: Site, call: Call) -> Reply:
    """Delete a virtual machine, and the disks whose `deleteOption` says so; 204 if there is none."""
    site.state.group(call.route.subscription, call.route.group)
    machine = site.state.machines.get(key(call.route.scope))
    if machine is None:
        return Reply(status=204)
    check_conditions(call, machine)
    site.free_to_write(machine)
    owned = site.state.owned_by(machine)
    going = [disk for disk in owned if _goes(machine, disk)]

    def work() -> None:
        if not operation.effective:
            return
        site.hardware.power_off(machine.unique_id, hard=True)
        site.hardware.forget(machine.unique_id)
        for disk in going:
            site.hardware.delete(disk.unique_id)

    def finish(ended: Operation) -> None:
        if ended.effective:
            site.state.machines.pop(machine.key, None)
            for disk in owned:
                disk.managed_by = ""
            for disk in going:
                site.state.disks.pop(disk.key, None)

    operation = operate(site, call, machine, finish=finish, work=work, duration=site.choices.durations.delete)
    operation.holds |= {disk.key for disk in owned}
    machine.provisioning = "Deleting"
    return Reply(status=202, operation=operation)


def find(site: Site, call: Call) -> VirtualMachine:
    """The virtual machine that the path names; 404 if there is none."""
    site.state.group(call.route.subscription, call.route.group)
    return site.state.machine(call.route.scope)


def check_conditions(call: Call, machine: VirtualMachine | None) -> None:
    """412 if the request's If-Match or If-None-Match does not hold."""
    etag = f'"{machine.etag}"' if machine is not None else ""
    matches = not call.if_match or (machine is not None and call.if_match in {"*", etag})
    if not matches or (call.if_none_match == "*" and machine is not None):
        raise ArmError(
            412,
            "PreconditionFailed",
            f"The condition '{call.if_match or call.if_none_match}' of the request does not hold: the current etag is "
            f"'{etag}'.",
        )


def operate(
    site: Site,
    call: Call,
    machine: VirtualMachine,
    *,
    finish: Callable[[Operation], None],
    work: Callable[[], None],
    duration: Any,
    doing: str = "",
) -> Operation:
    """An operation on a virtual machine that keeps other writers away and shows in its states."""

    def ended(operation: Operation) -> None:
        machine.doing = ""
        machine.provisioning = "Succeeded" if operation.planned.value == "Succeeded" else "Failed"
        machine.failure = operation.error.code if operation.error is not None else ""
        finish(operation)

    machine.doing = doing or call.route.operation
    machine.provisioning = "Updating"
    return Operation(
        route=call.route.operation,
        family="operations",
        subscription=call.route.subscription,
        location=machine.document["location"],
        started_at=call.now,
        ends_at=site.ends(call, duration),
        holds=frozenset({machine.key}),
        finish=ended,
        work=work,
    )


def _check_document(site: Site, call: Call, operation: str, document: Document) -> None:
    members.check(operation, document)
    check_tags(document)
    machine = site.state.machines.get(key(call.route.scope))
    site.rbac.check_linked(call.caller, call.route.action, call.route.scope, linked_rights(machine, document))


def _update(site: Site, call: Call, machine: VirtualMachine, document: Document, *, whole: bool) -> Reply:
    goal = merged(machine, document, whole=whole)
    change = vm_storage.plan(site, call, machine, goal["properties"]["storageProfile"])
    ignored = site.faults.happens("ignore", call.route.action, call.route.scope)
    operation = _changing(site, call, machine, goal, change, ignored=ignored)
    operation.retrievable = False
    shown = machine_view(machine, site.hardware)
    properties = {**goal["properties"], "vmId": machine.unique_id, "provisioningState": "Updating"}
    shown = {**shown, **{name: goal[name] for name in goal if name != "properties"}, "properties": properties}
    return Reply(status=200, document=shown, operation=operation)


def _changing(
    site: Site,
    call: Call,
    machine: VirtualMachine,
    goal: Document,
    change: StorageChange,
    *,
    ignored: bool = False,
) -> Operation:
    def work() -> None:
        if operation.effective and not ignored:
            vm_storage.move(site, machine, change)

    def begin() -> None:
        for wish in change.wishes:
            vm_disks.fill(site, wish)

    def finish(ended: Operation) -> None:
        if ended.effective and not ignored:
            storage = change.profile
            vm_storage.apply(site, machine, change, ended)
            machine.document = {**goal, "properties": {**goal["properties"], "storageProfile": storage}}

    machine.etag += 1
    for wish in change.wishes:
        vm_disks.keep(site, machine, wish)
    operation = operate(site, call, machine, finish=finish, work=work, duration=site.choices.durations.update)
    operation.begin = begin
    operation.holds |= change.touched
    return operation


def _create(site: Site, call: Call, machine: VirtualMachine) -> Reply:
    """A new virtual machine with the disks that it asks for; it runs in the end."""
    storage = machine.storage
    wishes: list[vm_disks.Wish] = []
    existing = vm_storage.plan_new(site, call, machine, wishes)
    for wish in wishes:
        vm_disks.keep(site, machine, wish)
    for disk in existing.values():
        disk.managed_by, disk.owned_at = str(machine.id), call.now
    site.state.machines[machine.key] = machine
    os_unique = _os_unique_id(machine, existing, wishes)
    data = {lun: disk for lun, disk in existing.items() if lun >= 0}
    data |= {wish.entry["lun"]: wish.disk for wish in wishes if "lun" in wish.entry}

    def begin() -> None:
        for wish in wishes:
            vm_disks.fill(site, wish)
        site.hardware.adopt(machine.unique_id, None, os_unique)
        for lun, disk in data.items():
            site.hardware.attach(machine.unique_id, lun, disk.unique_id)

    def work() -> None:
        if operation.effective:
            site.hardware.power_on(machine.unique_id)

    def finish(ended: Operation) -> None:
        machine.power = Power.RUNNING if ended.effective else Power.STOPPED

    duration, doing = site.choices.durations.create, "virtualMachines.put.new"
    operation = operate(site, call, machine, finish=finish, work=work, duration=duration, doing=doing)
    operation.begin, operation.retrievable = begin, False
    machine.provisioning = "Creating"
    storage.setdefault("dataDisks", [])
    return Reply(status=201, document=machine_view(machine, site.hardware), operation=operation)


def _os_unique_id(machine: VirtualMachine, existing: dict[int, Disk], wishes: Iterable[vm_disks.Wish]) -> str:
    """The unique id of its OS disk; unmanaged and ephemeral ones have the machine's own."""
    made = next((wish.disk for wish in wishes if "lun" not in wish.entry), existing.get(-1))
    return made.unique_id if made is not None else machine.unique_id


def _goes(machine: VirtualMachine, disk: Disk) -> bool:
    entries = [machine.os_disk, *machine.data_disks]
    return any(
        key(str((entry.get("managedDisk") or {}).get("id", ""))) == disk.key and entry.get("deleteOption") == DELETE
        for entry in entries
    )


def _attached_entry(wanted: Document, taken: set[int]) -> Document:
    if not wanted.get("diskId"):
        raise missing("dataDisksToAttach.diskId")
    lun = wanted.get("lun")
    if lun is None:
        lun = next(number for number in range(64) if number not in taken)
    kept: Document = {
        name: wanted[name] for name in ("caching", "deleteOption", "writeAcceleratorEnabled") if name in wanted
    }
    return {"lun": lun, "createOption": "Attach", "managedDisk": {"id": wanted["diskId"]}, **kept}
