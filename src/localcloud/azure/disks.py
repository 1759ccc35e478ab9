"""Managed disks: get, put, patch, delete, list. Source: reference/azure-compute, sections 3 and 7.2."""

from localcloud.azure import changes, creation, members
from localcloud.azure.errors import ArmError, not_allowed, not_changeable
from localcloud.azure.ids import ComputeId, key
from localcloud.azure.model import Disk, Document, Snapshot
from localcloud.azure.site import Call, Reply, Site, check_location, check_tags
from localcloud.azure.state import new_unique_id
from localcloud.azure.views import disk_view

DEFAULT_SIZE = 30  # GiB, where nothing says more


def get(site: Site, call: Call) -> Reply:
    """One disk."""
    return Reply(status=200, document=disk_view(changes.found(site, call, site.state.disks), site.state))


def put(site: Site, call: Call) -> Reply:
    """Create a disk, or write its document anew."""
    group = site.state.group(call.route.subscription, call.route.group)
    document = call.document
    members.check("disks.put", document)
    check_tags(document)
    existing = site.state.disks.get(key(call.route.scope))
    check_location(document, existing)
    site.rbac.check_linked(call.caller, call.route.action, call.route.scope, creation.linked_rights(document))
    if existing is not None:
        return _replace(site, call, existing, document)
    name = changes.valid_name(call.route.name, what="disk", extra="_-.")
    origin = creation.origin(site, call, document)
    complete(document, origin.source)
    disk = Disk(
        id=ComputeId(subscription=call.route.subscription, group=group.name, kind="disks", name=name),
        document=document,
        unique_id=new_unique_id(),
        created_at=call.now,
        provisioning="Creating",
    )
    site.state.disks[disk.key] = disk
    duration = site.choices.durations.disk
    made = changes.making(site, call, disk, origin.source, duration=duration, view=lambda: disk_view(disk, site.state))
    return Reply(status=202, document=changes.preview(disk, document), operation=made)


def patch(site: Site, call: Call) -> Reply:
    """Change tags, SKU or properties of a disk."""
    disk, changed = changes.patching(site, call, site.state.disks)
    return _write(site, call, disk, changed)


def delete(site: Site, call: Call) -> Reply:
    """Delete an unattached disk; 204 if there is none."""
    site.state.group(call.route.subscription, call.route.group)
    disk = site.state.disks.get(key(call.route.scope))
    if disk is None:
        return Reply(status=204)
    if disk.managed_by:
        raise not_allowed(f"Disk {disk.id.name} is attached to VM {disk.managed_by}.", "disk")
    return changes.deleting(site, call, disk, site.state.disks, duration=site.choices.durations.disk_delete)


def list_all(site: Site, call: Call) -> Reply:
    """The disks of a group or a subscription."""
    if call.route.group:
        site.state.group(call.route.subscription, call.route.group)
    found = changes.in_group(call, site.state.disks.values())
    return Reply(status=200, document=[disk_view(each, site.state) for each in found])


def complete(document: Document, source: Disk | Snapshot | None) -> None:
    """Fill in what the provider decides for a new disk."""
    changes.clean(document)
    properties = document["properties"]
    properties["diskSizeGB"] = creation.size_of(document, source, default=DEFAULT_SIZE)
    if source is not None:
        creation.take_over(document, source)
    # The default is Standard, whatever the source is: reference/azure-compute, section 7.2.
    sku = document.setdefault("sku", {"name": "Standard_LRS"})
    sku.setdefault("tier", str(sku.get("name", "Standard")).partition("_")[0])
    properties.setdefault("encryption", {"type": "EncryptionAtRestWithPlatformKey"})
    properties.setdefault("networkAccessPolicy", "AllowAll")
    properties.setdefault("publicNetworkAccess", "Enabled")


def _replace(site: Site, call: Call, disk: Disk, document: Document) -> Reply:
    site.free_to_write(disk)
    creation.same_creation(disk, document)
    creation.origin(site, call, document)  # a PUT looks at its source again, which may be gone
    changed = changes.replaced(disk, document)
    if changed.get("zones") != disk.document.get("zones"):
        raise not_changeable("zones")
    return _write(site, call, disk, changed)


def _write(site: Site, call: Call, disk: Disk, changed: Document) -> Reply:
    before, after = disk.properties.get("diskSizeGB", 0), changed["properties"].get("diskSizeGB", 0)
    if after < before:
        message = f"Disk size reduction is not supported. Current size is {before} GB, requested size is {after} GB."
        raise ArmError(409, "ResizeDiskError", message, target="diskSizeGB")
    if after > before and any(
        each.source_unique_id == disk.unique_id and each.instant_until is not None and each.instant_until > call.now
        for each in site.state.snapshots.values()
    ):
        raise not_allowed("A disk with instant-access snapshots cannot grow.", "diskSizeGB")
    duration = site.choices.durations.disk
    return changes.writing(site, call, disk, changed, duration=duration, view=lambda: disk_view(disk, site.state))
