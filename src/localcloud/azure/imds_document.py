"""What the metadata service tells about a VM: its resource, turned into the service's own form, version by version.

All primitives are strings and absent ones are empty. Sources: reference/azure-compute, section 9; the service's
published API description of 2023-07-01; vendor's page, "Azure Instance Metadata Service", table of properties.
"""

from collections.abc import Mapping
from typing import Any

from localcloud.azure.ids import ComputeId, location_key
from localcloud.azure.model import Document

VERSIONS = (
    "2017-03-01", "2017-04-02", "2017-08-01", "2017-10-01", "2017-12-01", "2018-02-01", "2018-04-02", "2018-10-01",
    "2019-02-01", "2019-03-11", "2019-04-30", "2019-06-01", "2019-06-04", "2019-08-01", "2019-08-15", "2019-11-01",
    "2020-06-01", "2020-07-15", "2020-09-01", "2020-10-01", "2020-12-01", "2021-01-01", "2021-02-01", "2021-03-01",
    "2021-05-01", "2021-08-01", "2021-10-01", "2021-11-01", "2021-11-15", "2021-12-13", "2023-07-01", "2023-11-15",
    "2024-03-15", "2024-07-17", "2025-04-07",
)  # fmt: skip
# The version in which a member of `compute` first appears; the others are there from the beginning.
_SINCE = {
    "placementGroupId": "2017-08-01",
    "resourceGroupName": "2017-08-01",
    "subscriptionId": "2017-08-01",
    "tags": "2017-08-01",
    "vmScaleSetName": "2017-12-01",
    "zone": "2017-12-01",
    "plan": "2018-04-02",
    "publicKeys": "2018-04-02",
    "azEnvironment": "2018-10-01",
    "provider": "2018-10-01",
    "resourceId": "2019-03-11",
    "storageProfile": "2019-06-01",
    "tagsList": "2019-06-04",
    "isHostCompatibilityLayerVm": "2020-06-01",
    "osProfile": "2020-07-15",
    "licenseType": "2020-09-01",
    "priority": "2020-12-01",
    "evictionPolicy": "2020-12-01",
    "securityProfile": "2020-06-01",
    "userData": "2021-01-01",
    "extendedLocation": "2021-03-01",
    "virtualMachineScaleSet": "2021-03-01",
    "platformSubFaultDomain": "2021-05-01",
    "additionalCapabilities": "2021-08-01",
}


def instance(document: Document, *, resource: ComputeId, vm_id: str, version: str, address: str) -> Document:
    """The instance document of a VM: `compute` and `network`, as this version of the service has them."""
    compute = _compute(document, resource=resource, vm_id=vm_id)
    shown = {name: value for name, value in compute.items() if _SINCE.get(name, "") <= version}
    return {"compute": shown, "network": _network(address)}


def image(document: Document) -> dict[str, str]:
    """What an attested document tells of the VM's image: sku, plan and licence."""
    told = _compute_image(document)
    plan = document.get("plan") or {}
    found = {"sku": told["sku"], "licenseType": _string(document["properties"].get("licenseType"))}
    return found | {name: _string(plan.get(name)) for name in ("name", "product", "publisher")}


def _compute(document: Document, *, resource: ComputeId, vm_id: str) -> Document:
    properties = document["properties"]
    return {
        "azEnvironment": "AzurePublicCloud",
        "location": location_key(str(document["location"])),
        "name": resource.name,
        "provider": "Microsoft.Compute",
        "resourceGroupName": resource.group,
        "resourceId": str(resource),
        "subscriptionId": resource.subscription,
        "vmId": vm_id,
        "vmSize": _string((properties.get("hardwareProfile") or {}).get("vmSize")),
        "securityProfile": _security(properties),
        "storageProfile": _storage(properties),
        "userData": _string(properties.get("userData")),
        **_compute_image(document),
        **_system(document, properties),
        **_placement(document, properties),
        **_tags(document),
    }


def _system(document: Document, properties: Document) -> Document:
    profile = properties.get("osProfile") or {}
    linux = profile.get("linuxConfiguration") or {}
    os_disk = (properties.get("storageProfile") or {}).get("osDisk") or {}
    capabilities = properties.get("additionalCapabilities") or {}
    return {
        "additionalCapabilities": {"hibernationEnabled": _string(capabilities.get("hibernationEnabled")) or "false"},
        "isHostCompatibilityLayerVm": "false",
        "licenseType": _string(properties.get("licenseType")),
        "osProfile": {
            "adminUsername": _string(profile.get("adminUsername")),
            "computerName": _string(profile.get("computerName")),
            "disablePasswordAuthentication": _string(linux.get("disablePasswordAuthentication")) or "true",
        },
        "osType": _string(os_disk.get("osType")),
        "plan": {name: _string((document.get("plan") or {}).get(name)) for name in ("name", "product", "publisher")},
        "publicKeys": [],
    }


def _placement(document: Document, properties: Document) -> Document:
    scale_set = _string((properties.get("virtualMachineScaleSet") or {}).get("id"))
    return {
        "evictionPolicy": _string(properties.get("evictionPolicy")),
        "extendedLocation": {"name": "", "type": ""},
        "placementGroupId": "",
        "platformFaultDomain": "0",
        "platformSubFaultDomain": "",
        "platformUpdateDomain": "0",
        "priority": _string(properties.get("priority")),
        "virtualMachineScaleSet": {"id": scale_set},
        "vmScaleSetName": scale_set.rsplit("/", 1)[-1],
        "zone": _string((document.get("zones") or [""])[0]),
    }


def _tags(document: Document) -> Document:
    tags: Mapping[str, str] = document.get("tags") or {}
    return {
        "tags": ";".join(f"{name}:{value}" for name, value in tags.items()),
        "tagsList": [{"name": name, "value": value} for name, value in tags.items()],
    }


def _compute_image(document: Document) -> dict[str, str]:
    reference = (document["properties"].get("storageProfile") or {}).get("imageReference") or {}
    return {name: _string(reference.get(name)) for name in ("offer", "publisher", "sku", "version")}


def _security(properties: Document) -> Document:
    profile = properties.get("securityProfile") or {}
    firmware = profile.get("uefiSettings") or {}
    return {
        "encryptionAtHost": _string(profile.get("encryptionAtHost")) or "false",
        "secureBootEnabled": _string(firmware.get("secureBootEnabled")) or "false",
        "securityType": _string(profile.get("securityType")),
        "virtualTpmEnabled": _string(firmware.get("vTpmEnabled")) or "false",
    }


def _storage(properties: Document) -> Document:
    storage = properties.get("storageProfile") or {}
    reference = storage.get("imageReference") or {}
    names = ("id", "offer", "publisher", "sku", "version")
    return {
        "dataDisks": [
            _disk(disk) | {"lun": _string(disk.get("lun")), "isSharedDisk": "false", "isUltraDisk": "false"}
            for disk in storage.get("dataDisks") or []
        ],
        "imageReference": {name: _string(reference.get(name)) for name in names},
        "osDisk": _os_disk(storage.get("osDisk") or {}),
        "resourceDisk": {"size": "16384"},
    }


def _os_disk(disk: Document) -> Document:
    return _disk(disk) | {
        "diffDiskSettings": {"option": _string((disk.get("diffDiskSettings") or {}).get("option"))},
        "encryptionSettings": {"enabled": "false"},
        "osType": _string(disk.get("osType")),
    }


def _disk(disk: Document) -> Document:
    managed = disk.get("managedDisk") or {}
    return {
        "caching": _string(disk.get("caching")),
        "createOption": _string(disk.get("createOption")),
        "diskSizeGB": _string(disk.get("diskSizeGB")),
        "image": {"uri": ""},
        "managedDisk": {
            "id": _string(managed.get("id")),
            "storageAccountType": _string(managed.get("storageAccountType")),
        },
        "name": _string(disk.get("name")),
        "vhd": {"uri": ""},
        "writeAcceleratorEnabled": _string(disk.get("writeAcceleratorEnabled")) or "false",
    }


def _network(address: str) -> Document:
    subnet = {"address": address.rsplit(".", 1)[0] + ".0", "prefix": "24"} if address else {}
    ipv4 = {
        "ipAddress": [{"privateIpAddress": address, "publicIpAddress": ""}] if address else [],
        "subnet": [subnet] if subnet else [],
    }
    return {"interface": [{"ipv4": ipv4, "ipv6": {"ipAddress": []}, "macAddress": "000D3A000001"}]}


def _string(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
