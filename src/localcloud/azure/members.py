"""The members that documents may have: the provider refuses others by name, as a misspelt one would change nothing.

Source: the published types of the newest versions. Deeper levels are taken as they are.
"""

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
}


def check(operation: str, document: Document) -> None:
    """400 that names the first member which the operation's document cannot have."""
    top, inner = ALLOWED[operation]
    _known(document, top, "")
    properties = document.get("properties")
    if properties is not None and not isinstance(properties, dict):
        raise ArmError(400, "InvalidRequestContent", "The request content was invalid: 'properties' is no object.")
    _known(properties or {}, inner, "properties.")


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
