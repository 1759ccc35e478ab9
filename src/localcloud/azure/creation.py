"""Where a disk or a snapshot comes from: which sources are allowed, and what it takes over from them."""

from dataclasses import dataclass
from typing import Any

from localcloud.azure.errors import ArmError, invalid, missing, not_allowed, not_changeable, unsupported
from localcloud.azure.ids import key, location_key
from localcloud.azure.model import V2_AND_ULTRA, Disk, Document, Resource, Snapshot
from localcloud.azure.site import Call, Site
from localcloud.azure.state import missing_resource
from localcloud.azure.views import usable

# What a copy takes over unless its document says otherwise.
TAKEN_OVER = (
    "osType",
    "hyperVGeneration",
    "purchasePlan",
    "supportedCapabilities",
    "supportsHibernation",
    "encryptionSettingsCollection",
)
# Ways to create that need content from outside of the compute provider; such disks are made empty.
FOREIGN = {"FromImage", "Import", "ImportSecure", "Upload", "UploadPreparedSecure", "CopyFromSanSnapshot"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a new disk or snapshot is made from. `source` None: nothing that is kept here."""

    option: str
    source: Disk | Snapshot | None = None


def origin(site: Site, call: Call, document: Document) -> Origin:
    """Look up and check the source that `creationData` names; 404 if it is not there, or not any more."""
    data = _creation_data(document)
    option = str(data["createOption"])
    if option in {"Empty", "Attach"} | FOREIGN:
        return Origin(option=option)
    if option not in {"Copy", "CopyStart"}:
        raise unsupported(f"createOption {option}")
    named = data.get("sourceResourceId")
    if not isinstance(named, str) or not named:
        raise missing("creationData.sourceResourceId")
    source = site.state.disks.get(key(named)) or site.state.snapshots.get(key(named))
    if source is None:
        raise missing_resource(named)
    _check_source(call, document, option, source)
    return Origin(option=option, source=source)


def linked_rights(document: Document) -> list[tuple[str, str]]:
    """The (action, scope) pairs that writing this disk or snapshot needs elsewhere."""
    properties = document.get("properties") or {}
    needed = []
    source = (properties.get("creationData") or {}).get("sourceResourceId")
    if isinstance(source, str) and source:
        kind = "snapshots" if "/snapshots/" in source.lower() else "disks"
        needed.append((f"Microsoft.Compute/{kind}/beginGetAccess/action", "/" + source.strip("/")))
    encryption_set = (properties.get("encryption") or {}).get("diskEncryptionSetId")
    if encryption_set:
        needed.append(("Microsoft.Compute/diskEncryptionSets/read", encryption_set))
    if properties.get("diskAccessId"):
        needed.append(("Microsoft.Compute/diskAccesses/read", properties["diskAccessId"]))
    return needed


def same_creation(resource: Resource, document: Document) -> None:
    """409 if a second PUT would create the resource from something else."""
    before, after = resource.properties["creationData"], _creation_data(document)
    for name, value in after.items():
        kept = before.get(name)
        same = key(str(kept)) == key(str(value)) if name == "sourceResourceId" else kept == value
        if name != "sourceUniqueId" and not same:
            raise not_changeable(f"creationData.{name}")


def size_of(document: Document, source: Disk | Snapshot | None, *, default: int) -> int:
    """The size in GiB: at least the source's. 400 for a size that is none, or smaller than what is copied."""
    given: Any = document["properties"].get("diskSizeGB")
    least = int(source.properties.get("diskSizeGB", 0)) if source is not None else 0
    if given is None:
        return least or default
    if not isinstance(given, int) or isinstance(given, bool) or not 0 < given <= 65536:
        raise invalid(f"The value '{given}' of parameter 'diskSizeGB' is out of range.", "diskSizeGB")
    if given < least:
        raise invalid(
            f"The specified disk size {given} GB is smaller than the size of the source, {least} GB.", "diskSizeGB"
        )
    return given


def take_over(document: Document, source: Resource) -> None:
    """Fill in what the source has and the document leaves out."""
    properties = document["properties"]
    for name in TAKEN_OVER:
        if properties.get(name) is None and name in source.properties:
            properties[name] = source.properties[name]
    properties["creationData"]["sourceUniqueId"] = source.unique_id


def _creation_data(document: Document) -> Document:
    properties = document.get("properties")
    data = properties.get("creationData") if isinstance(properties, dict) else None
    if not isinstance(data, dict):
        raise missing("creationData")
    if not data.get("createOption"):
        raise missing("creationData.createOption")
    return data


def _check_source(call: Call, document: Document, option: str, source: Disk | Snapshot) -> None:
    if source.provisioning != "Succeeded":
        raise not_allowed(
            f"The source '{source.id}' is in provisioning state {source.provisioning}.", "sourceResourceId"
        )
    elsewhere = location_key(document["location"]) != location_key(source.document["location"])
    if option == "CopyStart" and not (isinstance(source, Snapshot) and source.properties.get("incremental")):
        raise not_allowed("CopyStart is only allowed for incremental snapshots.", "createOption")
    if elsewhere and option == "Copy":
        raise invalid(
            f"The source '{source.id}' lies in location '{source.document['location']}', not in "
            f"'{document['location']}'; a copy stays in its region.",
            "sourceResourceId",
        )
    if isinstance(source, Snapshot) and not usable(source, call.now):
        raise ArmError(
            409,
            "OperationNotAllowed",
            f"The snapshot '{source.id}' is not ready: its background copy has not completed.",
            target="sourceResourceId",
        )
    if isinstance(source, Snapshot) and call.route.kind != "snapshots":
        _check_sectors(document, source)


def _check_sectors(document: Document, source: Snapshot) -> None:
    sku = str((document.get("sku") or {}).get("name", ""))
    if source.properties["creationData"].get("logicalSectorSize") == 4096 and sku not in V2_AND_ULTRA:
        raise invalid("A source with a logical sector size of 4096 needs Premium SSD v2 or Ultra.", "sku")
