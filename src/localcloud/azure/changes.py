"""What writing a disk and writing a snapshot have in common: first answers, operations, deletion, lists."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from localcloud.azure import creation, members
from localcloud.azure.errors import ArmError
from localcloud.azure.ids import COMPUTE, key
from localcloud.azure.model import Document, Resource
from localcloud.azure.operations import Operation
from localcloud.azure.site import Call, Reply, Site, check_tags
from localcloud.azure.state import missing_resource

ResourceT = TypeVar("ResourceT", bound=Resource)
_READ_ONLY = ("id", "name", "type", "systemData", "managedBy", "managedByExtended", "resources", "etag")
_READ_ONLY_PROPERTIES = (
    "timeCreated", "provisioningState", "uniqueId", "diskState", "diskSizeBytes", "shareInfo", "burstingEnabledTime",
    "propertyUpdatesInProgress", "LastOwnershipUpdateTime", "completionPercent", "copyCompletionError",
    "snapshotAccessState", "immutabilityPolicy", "incrementalSnapshotFamilyId",
)  # fmt: skip
_SHOWN = ("location", "tags", "sku", "zones", "extendedLocation")


def clean(document: Document) -> None:
    """Take out what only the service sets, and nulls, which say no more than what is left out."""
    for name in _READ_ONLY:
        document.pop(name, None)
    properties = document["properties"]
    for name in [name for name in properties if properties[name] is None or name in _READ_ONLY_PROPERTIES]:
        del properties[name]


def valid_name(name: str, *, what: str, extra: str) -> str:
    """The name, if the provider takes it: letters, digits and `extra`, beginning with a letter or digit."""
    letters = name.isascii() and all(letter.isalnum() or letter in extra for letter in name)
    if not (letters and 1 <= len(name) <= 80 and name[0].isalnum() and (name[-1].isalnum() or name[-1] == "_")):
        raise ArmError(
            400, "InvalidParameter", f"The entity name '{what}.name' is invalid: '{name}'.", target=f"{what}.name"
        )
    return name


def replaced(resource: Resource, document: Document) -> Document:
    """The document after a PUT of `document`: properties that it leaves out stay, tags do not."""
    clean(document)
    properties = {**resource.properties, **document["properties"], "creationData": resource.properties["creationData"]}
    changed = {**resource.document, **document, "properties": properties}
    if "tags" not in document:
        changed.pop("tags", None)
    return changed


def found(site: Site, call: Call, kept: Mapping[str, ResourceT]) -> ResourceT:
    """The resource that the call names, where such ones are kept; ArmError if its group or itself is missing."""
    site.state.group(call.route.subscription, call.route.group)
    resource = kept.get(key(call.route.scope))
    if resource is None:
        raise missing_resource(call.route.scope)
    return resource


def patching(site: Site, call: Call, kept: Mapping[str, ResourceT]) -> tuple[ResourceT, Document]:
    """The resource that a PATCH names, and its document afterwards; ArmError if it may not be changed so, or now."""
    resource, document = found(site, call, kept), call.document
    members.check(f"{resource.id.kind}.patch", document)
    check_tags(document)
    site.free_to_write(resource)
    site.rbac.check_linked(call.caller, call.route.action, call.route.scope, creation.linked_rights(document))
    return resource, patched(resource, document)


def patched(resource: Resource, document: Document) -> Document:
    """The document after a PATCH with `document`: tags as given are all tags."""
    top = {name: document[name] for name in ("tags", "sku") if document.get(name) is not None}
    given = {"properties": document.get("properties") or {}}
    clean(given)
    return {**resource.document, **top, "properties": {**resource.properties, **given["properties"]}}


def preview(resource: Resource, document: Document) -> Document:
    """What the first answer to a write shows."""
    return {
        "id": str(resource.id),
        "name": resource.id.name,
        "type": f"{COMPUTE}/{resource.id.kind}",
        **{name: document[name] for name in _SHOWN if name in document},
        "properties": {**document["properties"], "provisioningState": "Updating"},
    }


def operation(
    site: Site,
    call: Call,
    resource: Resource,
    *,
    finish: Callable[[Operation], None],
    duration: timedelta,
    view: Callable[[], Any] = lambda: None,
) -> Operation:
    """An operation on one disk or snapshot that keeps other writers away; its result is what `view` says at its end."""
    return Operation(
        route=call.route.operation,
        family="DiskOperations",
        subscription=call.route.subscription,
        location=resource.document["location"],
        started_at=call.now,
        ends_at=site.ends(call, duration),
        holds=frozenset({resource.key}),
        finish=finish,
        result=view,
    )


def making(
    site: Site, call: Call, resource: Resource, source: Resource | None, *, duration: timedelta, view: Callable[[], Any]
) -> Operation:
    """The creation of a resource: its files are copied before the first answer, as they are then."""

    def finish(ended: Operation) -> None:
        resource.provisioning = "Succeeded" if ended.effective else "Failed"

    def begin() -> None:
        if source is None:
            site.hardware.new_disk(resource.unique_id, None)
        else:
            site.hardware.copy(source.unique_id, resource.unique_id)

    made = operation(site, call, resource, finish=finish, duration=duration, view=view)
    made.begin = begin
    made.uses = frozenset({source.key}) if source is not None else frozenset()
    return made


def writing(
    site: Site, call: Call, resource: Resource, changed: Document, *, duration: timedelta, view: Callable[[], Any]
) -> Reply:
    """A change of a resource that is there: GET shows the new document at the operation's end."""
    resource.provisioning = "Updating"

    def finish(ended: Operation) -> None:
        resource.provisioning = "Succeeded"
        if ended.effective:
            resource.document = changed

    made = operation(site, call, resource, finish=finish, duration=duration, view=view)
    return Reply(status=202, document=preview(resource, changed), operation=made)


def deleting(site: Site, call: Call, resource: ResourceT, kept: dict[str, ResourceT], *, duration: timedelta) -> Reply:
    """The deletion of a resource with its files; `kept` is where it is looked up."""
    site.free_to_delete(resource)
    resource.provisioning = "Deleting"

    def finish(ended: Operation) -> None:
        if ended.effective:
            kept.pop(resource.key, None)
        else:
            resource.provisioning = "Failed"

    made = operation(site, call, resource, finish=finish, duration=duration)
    made.work = lambda: site.hardware.delete(resource.unique_id) if made.effective else None
    return Reply(status=202, operation=made)


def in_group(call: Call, resources: Iterable[ResourceT]) -> list[ResourceT]:
    """Those in the group (or, if the path names none, the subscription) that the call asks for."""
    subscription, group = call.route.subscription.lower(), call.route.group.lower()
    return [
        each
        for each in resources
        if each.id.subscription.lower() == subscription and (not group or each.id.group.lower() == group)
    ]
