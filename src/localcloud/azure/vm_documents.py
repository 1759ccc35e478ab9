"""Virtual machines' documents: how a written one is joined with what is there, and which rights it needs elsewhere."""

import copy
from typing import Any

from localcloud.azure.changes import clean
from localcloud.azure.errors import invalid, missing, not_changeable
from localcloud.azure.ids import ComputeId, key
from localcloud.azure.model import Document, VirtualMachine
from localcloud.azure.site import Call
from localcloud.azure.state import new_unique_id

# Set at creation, for good.
_FIXED = ("availabilitySet", "virtualMachineScaleSet", "priority", "host")
_FIXED_OS = ("computerName", "adminUsername")
# Objects that a PATCH replaces as a whole.
_WHOLE = {"managedDisk", "tags", "userAssignedIdentities"}
_READ_ONLY = ("vmId", "instanceView")


def new_machine(call: Call, group: str, document: Document) -> VirtualMachine:
    """The virtual machine that a PUT asks for, before its disks."""
    name = call.route.name
    if not 1 <= len(name) <= 64 or not all(letter.isalnum() or letter in "_-." for letter in name):
        raise invalid(f"The entity name 'vmName' is invalid: '{name}'.", "vmName")
    properties = document["properties"] = document.get("properties") or {}
    storage = properties.get("storageProfile")
    if not isinstance(storage, dict) or not isinstance(storage.get("osDisk"), dict):
        raise missing("storageProfile.osDisk")
    if not storage["osDisk"].get("createOption"):
        raise missing("osDisk.createOption")
    _drop_read_only(document)
    storage["osDisk"].setdefault("osType", _os_type(properties))
    return VirtualMachine(
        id=ComputeId(subscription=call.route.subscription, group=group, kind="virtualMachines", name=name),
        document=document,
        unique_id=new_unique_id(),
        created_at=call.now,
        generation=_generation(properties),
    )


def merged(machine: VirtualMachine, document: Document, *, whole: bool) -> Document:
    """The whole document after a PUT (`whole`) or PATCH of `document`; 409 for what stays as it was created."""
    before = copy.deepcopy(machine.document)
    _drop_read_only(document)
    after: Document = _joined(before, document)
    if whole and "tags" not in document:
        after.pop("tags", None)
    elif "tags" in document:
        after["tags"] = document["tags"] or {}
    for name in ("zones", "plan", "extendedLocation"):
        if after.get(name) != before.get(name):
            raise not_changeable(name)
    _check_fixed(machine, before["properties"], after["properties"])
    return after


def linked_rights(machine: VirtualMachine | None, document: Document) -> list[tuple[str, str]]:
    """The (action, scope) pairs that writing this document needs elsewhere."""
    properties = document.get("properties") or {}
    network = (properties.get("networkProfile") or {}).get("networkInterfaces") or []
    needed = [
        ("Microsoft.Network/networkInterfaces/join/action", str(each["id"])) for each in network if each.get("id")
    ]
    identities = (document.get("identity") or {}).get("userAssignedIdentities") or {}
    needed += [("Microsoft.ManagedIdentity/userAssignedIdentities/assign/action", each) for each in identities]
    storage = properties.get("storageProfile") or {}
    held = _disk_ids(machine.storage) if machine is not None else {}
    new = {name: given for name, given in _disk_ids(storage).items() if name not in held}
    return needed + [("Microsoft.Compute/disks/write", given) for given in new.values()]


def _disk_ids(storage: Document) -> dict[str, str]:
    entries = [storage.get("osDisk") or {}, *(storage.get("dataDisks") or [])]
    ids = [str((entry.get("managedDisk") or {}).get("id") or "") for entry in entries]
    return {key(each): "/" + each.strip("/") for each in ids if each}


def _joined(before: Any, given: Any) -> Any:
    if not isinstance(before, dict) or not isinstance(given, dict):
        return copy.deepcopy(given)
    result = dict(before)
    for name, value in given.items():
        if value is None:
            continue
        result[name] = copy.deepcopy(value) if name in _WHOLE else _joined(before.get(name), value)
    return result


def _check_fixed(machine: VirtualMachine, before: Document, after: Document) -> None:
    for name in _FIXED:
        if _folded(after.get(name)) != _folded(before.get(name)):
            raise not_changeable(name)
    os_before, os_after = before.get("osProfile") or {}, after.get("osProfile") or {}
    for name in _FIXED_OS:
        if os_after.get(name) != os_before.get(name):
            raise not_changeable(f"osProfile.{name}")
    security = (after.get("securityProfile") or {}).get("securityType") or "Standard"
    if security != machine.security_type:
        raise not_changeable("securityProfile.securityType")


def _folded(value: Any) -> str:
    return str(value).lower()  # ids come back in another spelling


def _drop_read_only(document: Document) -> None:
    document["properties"] = document.get("properties") or {}
    clean(document)
    for name in _READ_ONLY:
        document["properties"].pop(name, None)
    for identity in ((document.get("identity") or {}).get("userAssignedIdentities") or {}).values():
        for name in ("principalId", "clientId"):
            (identity or {}).pop(name, None)


def _os_type(properties: Document) -> str:
    profile = properties.get("osProfile") or {}
    image = properties["storageProfile"].get("imageReference") or {}
    windows = "windowsConfiguration" in profile or "windows" in str(image.get("publisher", "")).lower()
    return "Windows" if windows else "Linux"


def _generation(properties: Document) -> str:
    """Images are taken to be of generation 2 where their name or the security type says so."""
    image = properties["storageProfile"].get("imageReference") or {}
    trusted = (properties.get("securityProfile") or {}).get("securityType") in {"TrustedLaunch", "ConfidentialVM"}
    return "V2" if trusted or "gen2" in str(image.get("sku", "")).lower() else "V1"
