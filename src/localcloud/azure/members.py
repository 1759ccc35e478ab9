"""The members that documents may have: the provider refuses others by name, as a misspelt one would change nothing.

Source: the published types of the newest versions. Deeper levels are taken as they are, but for the JSON types of what
is read here.
"""

from collections.abc import Mapping
from typing import Any

from localcloud.azure.errors import ArmError
from localcloud.azure.model import Document


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TRACKED = frozenset({"id", "name", "type", "systemData", "tags", "location", "properties"})
_DISK_CHANGES = _words(
    "osType diskSizeGB encryptionSettingsCollection diskIOPSReadWrite diskMBpsReadWrite diskIOPSReadOnly "
    "diskMBpsReadOnly maxShares encryption networkAccessPolicy diskAccessId tier burstingEnabled purchasePlan "
    "supportedCapabilities propertyUpdatesInProgress supportsHibernation publicNetworkAccess dataAccessAuthMode "
    "optimizedForFrequentAttach availabilityPolicy"
)
_DISK = _DISK_CHANGES | _words(
    "timeCreated hyperVGeneration creationData diskSizeBytes uniqueId provisioningState diskState shareInfo "
    "burstingEnabledTime securityProfile completionPercent LastOwnershipUpdateTime"
)
_SNAPSHOT_CHANGES = _words(
    "osType diskSizeGB encryptionSettingsCollection encryption networkAccessPolicy diskAccessId supportsHibernation "
    "publicNetworkAccess dataAccessAuthMode supportedCapabilities snapshotAccessState"
)
_SNAPSHOT = _SNAPSHOT_CHANGES | _words(
    "timeCreated hyperVGeneration purchasePlan creationData diskSizeBytes diskState uniqueId provisioningState "
    "incremental incrementalSnapshotFamilyId securityProfile completionPercent copyCompletionError "
    "immutabilityPolicy"
)
_MACHINE = _words(
    "hardwareProfile flexProfile scheduledEventsPolicy storageProfile additionalCapabilities osProfile networkProfile "
    "securityProfile diagnosticsProfile availabilitySet virtualMachineScaleSet proximityPlacementGroup priority "
    "evictionPolicy billingProfile host hostGroup provisioningState instanceView licenseType vmId extensionsTimeBudget "
    "platformFaultDomain scheduledEventsProfile userData capacityReservation interconnectBlockProfile "
    "applicationProfile timeCreated resiliencyProfile"
)
_MACHINE_TOP = _TRACKED | {
    "plan",
    "resources",
    "identity",
    "zones",
    "extendedLocation",
    "managedBy",
    "etag",
    "placement",
}

# By operation: the members at the top, and those of `properties`.
ALLOWED: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "disks.put": (_TRACKED | {"managedBy", "managedByExtended", "sku", "zones", "extendedLocation"}, _DISK),
    "disks.patch": (frozenset({"tags", "sku", "properties"}), _DISK_CHANGES),
    "snapshots.put": (_TRACKED | {"managedBy", "sku", "extendedLocation"}, _SNAPSHOT),
    "snapshots.patch": (frozenset({"tags", "sku", "properties"}), _SNAPSHOT_CHANGES),
    "virtualMachines.put": (_MACHINE_TOP, _MACHINE),
    "virtualMachines.patch": (_MACHINE_TOP, _MACHINE),
    "virtualMachines.attachDetachDataDisks": (_words("dataDisksToAttach dataDisksToDetach"), frozenset()),
}

# The JSON types of members, of any document: a map's own members, the elements of a list, `*` every member of a map.
_ID: Mapping[str, Any] = {"id": str}
_MANAGED = {
    **_ID,
    "storageAccountType": str,
    "diskEncryptionSet": _ID,
    "securityProfile": {"securityEncryptionType": str},
}
_DISK_ENTRY = {"name": str, "createOption": str, "diskSizeGB": int, "managedDisk": _MANAGED}
_TYPES: Mapping[str, Any] = {
    "zones": [str],
    "sku": {"name": str},
    "identity": {"userAssignedIdentities": {"*": {}}},
    "properties": {
        "creationData": {"createOption": str},
        "diskSizeGB": int,
        "encryption": {"diskEncryptionSetId": str},
        "diskAccessId": str,
        "securityProfile": {"securityType": str},
        "encryptionSettingsCollection": {},
        "osProfile": {},
        "networkProfile": {"networkInterfaces": [_ID]},
        "storageProfile": {
            "imageReference": {},
            "osDisk": {**_DISK_ENTRY, "diffDiskSettings": {}},
            "dataDisks": [{**_DISK_ENTRY, "sourceResource": _ID}],
        },
    },
    "dataDisksToAttach": [{"diskId": str, "lun": int}],
    "dataDisksToDetach": [{"diskId": str}],
}
_WORDS: Mapping[type, str] = {dict: "object", list: "array", str: "string", int: "integer"}


def check(operation: str, document: Document) -> None:
    """400 that names the first member which the operation's document cannot have, or not with such a value."""
    top, inner = ALLOWED[operation]
    _known(document, top, "")
    _typed(document, _TYPES, "")
    _known(document.get("properties") or {}, inner, "properties.")


def _known(given: Document, allowed: frozenset[str], path: str) -> None:
    lower = {name.lower() for name in allowed}
    for name in given:
        if name.lower() not in lower:
            raise ArmError(
                400,
                "InvalidRequestContent",
                f"The request content was invalid and could not be deserialized: 'Could not find member '{name}' on "
                f"object of type 'ResourceDefinition'. Path '{path}{name}'.'.",
                target=f"{path}{name}",
            )


def _typed(value: Any, wanted: Any, path: str) -> None:
    """Refuse a value of another JSON type; null stands for what is left out, but not in a list."""
    kind: type[Any] = wanted if isinstance(wanted, type) else dict if isinstance(wanted, Mapping) else list
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ArmError(
            400,
            "InvalidRequestContent",
            f"The request content was invalid and could not be deserialized: '{path}' is no {_WORDS[kind]}.",
            target=path,
        )
    if isinstance(wanted, list):
        for number, element in enumerate(value):
            _typed(element, wanted[0], f"{path}[{number}]")
    elif isinstance(wanted, Mapping):
        for name, member in value.items():
            inner = wanted.get(name, wanted.get("*"))
            if inner is not None and member is not None:
                _typed(member, inner, f"{path}.{name}" if path else name)
