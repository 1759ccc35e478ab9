"""Snapshots of disks: get, put, patch, delete, list. Source: reference/azure-compute, sections 3 and 7.1."""

from datetime import timedelta

from localcloud.azure import changes, creation, members
from localcloud.azure.creation import Origin
from localcloud.azure.errors import invalid, not_allowed, not_changeable
from localcloud.azure.ids import ComputeId, key
from localcloud.azure.model import V2_AND_ULTRA, Disk, Document, Snapshot
from localcloud.azure.site import Call, Reply, Site, check_location, check_tags
from localcloud.azure.state import new_unique_id
from localcloud.azure.views import access_state, snapshot_view

SKUS = ("Standard_LRS", "Premium_LRS", "Standard_ZRS")
INCREMENTAL_SKUS = ("Standard_LRS", "Standard_ZRS")
PER_DISK = 500
PER_WINDOW = 7
PENDING_PER_DISK = 3


def get(site: Site, call: Call) -> Reply:
    """One snapshot."""
    return Reply(status=200, document=snapshot_view(changes.found(site, call, site.state.snapshots), call.now))


def put(site: Site, call: Call) -> Reply:
    """Take a snapshot, or write its document anew."""
    group = site.state.group(call.route.subscription, call.route.group)
    document = call.document
    members.check("snapshots.put", document)
    check_tags(document)
    existing = site.state.snapshots.get(key(call.route.scope))
    check_location(document, existing)
    site.rbac.check_linked(call.caller, call.route.action, call.route.scope, creation.linked_rights(document))
    if existing is not None:
        return _replace(site, call, existing, document)
    name = changes.valid_name(call.route.name, what="snapshot", extra="_-.")
    origin = creation.origin(site, call, document)
    incremental = bool(document["properties"].get("incremental"))
    _check_kind(document, origin, incremental=incremental)
    if incremental and isinstance(origin.source, Disk):
        _count(site, call, origin.source)
    _complete(document, origin)
    snapshot = Snapshot(
        id=ComputeId(subscription=call.route.subscription, group=group.name, kind="snapshots", name=name),
        document=document,
        unique_id=new_unique_id(),
        created_at=call.now,
        provisioning="Creating",
        source_unique_id=origin.source.unique_id if origin.source is not None else "",
    )
    _copy_in_background(site, call, snapshot, origin)
    site.state.snapshots[snapshot.key] = snapshot
    made = changes.making(
        site, call, snapshot, origin.source, duration=site.choices.durations.snapshot, view=_viewer(site, snapshot)
    )
    return Reply(status=202, document=changes.preview(snapshot, document), operation=made)


def patch(site: Site, call: Call) -> Reply:
    """Change tags, SKU or properties of a snapshot."""
    snapshot, changed = changes.patching(site, call, site.state.snapshots)
    return _write(site, call, snapshot, changed)


def delete(site: Site, call: Call) -> Reply:
    """Delete a snapshot, also one whose copy has not ended; 204 if there is none."""
    site.state.group(call.route.subscription, call.route.group)
    snapshot = site.state.snapshots.get(key(call.route.scope))
    if snapshot is None:
        return Reply(status=204)
    return changes.deleting(site, call, snapshot, site.state.snapshots, duration=site.choices.durations.snapshot_delete)


def list_all(site: Site, call: Call) -> Reply:
    """The snapshots of a group or a subscription."""
    if call.route.group:
        site.state.group(call.route.subscription, call.route.group)
    found = changes.in_group(call, site.state.snapshots.values())
    return Reply(status=200, document=[snapshot_view(each, call.now) for each in found])


def _viewer(site: Site, snapshot: Snapshot):  # type: ignore[no-untyped-def]
    return lambda: snapshot_view(snapshot, site.clock.now())


def _replace(site: Site, call: Call, snapshot: Snapshot, document: Document) -> Reply:
    site.free_to_write(snapshot)
    creation.same_creation(snapshot, document)
    if bool(document["properties"].get("incremental", snapshot.properties.get("incremental"))) != bool(
        snapshot.properties.get("incremental")
    ):
        raise not_changeable("incremental")
    creation.origin(site, call, document)  # a PUT looks at its source again, which may be gone
    return _write(site, call, snapshot, changes.replaced(snapshot, document))


def _write(site: Site, call: Call, snapshot: Snapshot, changed: Document) -> Reply:
    duration = site.choices.durations.snapshot
    return changes.writing(site, call, snapshot, changed, duration=duration, view=_viewer(site, snapshot))


def _check_kind(document: Document, origin: Origin, *, incremental: bool) -> None:
    """Which SKUs and kinds of snapshots this source may have."""
    sku = str((document.get("sku") or {}).get("name", ""))
    if sku and sku not in (INCREMENTAL_SKUS if incremental else SKUS):
        kind = "an incremental" if incremental else "a full"
        raise invalid(f"The SKU '{sku}' is not allowed for {kind} snapshot.", "sku.name")
    source_sku = origin.source.sku if isinstance(origin.source, Disk) else ""
    if source_sku in V2_AND_ULTRA and not incremental:
        raise not_allowed(f"Only incremental snapshots are supported for disks of SKU '{source_sku}'.", "incremental")
    minutes = document["properties"]["creationData"].get("instantAccessDurationMinutes")
    if minutes is None:
        return
    if source_sku not in V2_AND_ULTRA:
        raise invalid(
            "Instant access is only for snapshots of Premium SSD v2 and Ultra disks.", "instantAccessDurationMinutes"
        )
    if not isinstance(minutes, int) or not 60 <= minutes <= 300:
        raise invalid("The duration of instant access is 60 to 300 minutes.", "instantAccessDurationMinutes")


def _count(site: Site, call: Call, source: Disk) -> None:
    """Refuse more incremental snapshots of a disk than there may be."""
    window = call.now - site.clock.scaled(site.choices.durations.snapshot_window)
    recent = [at for at in site.state.snapshot_times.get(source.unique_id, []) if at > window]
    if len(recent) >= PER_WINDOW:
        raise not_allowed(
            f"Disk '{source.id.name}' has {len(recent)} incremental snapshots of the last 5 minutes; 7 are allowed.",
            "incremental",
        )
    mine = [each for each in site.state.snapshots.values() if each.source_unique_id == source.unique_id]
    if len(mine) >= PER_DISK:
        raise not_allowed(f"Disk '{source.id.name}' has {len(mine)} incremental snapshots; {PER_DISK} are allowed.")
    pending = [
        each for each in mine if each.background and access_state(each, call.now) in {"Pending", "InstantAccess"}
    ]
    if source.sku in V2_AND_ULTRA and len(pending) >= PENDING_PER_DISK:
        raise not_allowed(f"Disk '{source.id.name}' has {len(pending)} snapshots whose copy has not completed.")
    site.state.snapshot_times[source.unique_id] = [*recent, call.now]


def _complete(document: Document, origin: Origin) -> None:
    """Fill in what the provider decides for a new snapshot."""
    changes.clean(document)
    properties = document["properties"]
    source = origin.source
    properties["diskSizeGB"] = creation.size_of(document, source, default=30)
    properties.setdefault("incremental", False)
    if source is not None:
        creation.take_over(document, source)
        for name in ("encryption", "securityProfile"):
            if properties.get(name) is None and name in source.properties:
                properties[name] = dict(source.properties[name])
        sector = source.properties["creationData"].get("logicalSectorSize")
        if sector is not None:
            properties["creationData"].setdefault("logicalSectorSize", sector)
        if properties["incremental"]:
            properties["incrementalSnapshotFamilyId"] = source.unique_id
    document.setdefault("sku", {"name": "Standard_LRS"}).setdefault("tier", "Standard")
    properties.setdefault("encryption", {"type": "EncryptionAtRestWithPlatformKey"})
    properties.setdefault("networkAccessPolicy", "AllowAll")
    properties.setdefault("publicNetworkAccess", "Enabled")


def _copy_in_background(site: Site, call: Call, snapshot: Snapshot, origin: Origin) -> None:
    """Start the copy that goes on after the operation: for v2 and Ultra disks, and for CopyStart."""
    of_fast_disk = isinstance(origin.source, Disk) and origin.source.sku in V2_AND_ULTRA
    if not of_fast_disk and origin.option != "CopyStart":
        return
    snapshot.background = True
    snapshot.copied_at = site.ends(call, site.choices.durations.background_copy)
    snapshot.stuck_at = site.faults.copy_stands_at(call.route.action, call.route.scope)
    minutes = snapshot.properties["creationData"].get("instantAccessDurationMinutes")
    if minutes is not None:
        snapshot.instant_until = site.ends(call, timedelta(minutes=minutes))
