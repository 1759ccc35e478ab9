"""What goes out to Azure for snapshots, disks and VMs: nothing is lost, and the published description allows it."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

from moorings.patching.deleting import CHECKPOINT, own_tags
from moorings.patching.disks import (
    INSTANT_SKUS,
    attachment_of,
    replacement_body,
    snapshot_body,
    snapshot_state,
    storage_with,
)
from moorings.patching.model import TAG_PREFIX, CheckpointDisk
from moorings.patching.observed import Disk, Snapshot, Vm, same_id

COMPUTE = (
    Path(__file__).resolve().parents[2]
    / "../shared/data/azure/specification/compute/resource-manager/Microsoft.Compute"
)
DISKS = "DiskRP/stable/2024-03-02/disk.json"
SNAPSHOTS = "DiskRP/stable/2024-03-02/snapshot.json"
VMS = "ComputeRP/stable/2024-07-01/computeRPCommon.json"
GROUP = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute"


@cache
def _validator(file: str, definition: str) -> Draft4Validator:
    def retrieve(uri: str) -> Resource[Any]:
        return Resource.from_contents(json.loads(Path(uri.removeprefix("file://")).read_text()), DRAFT4)

    path = (COMPUTE / file).resolve()
    registry: Registry[Any] = Registry(retrieve=retrieve)  # type: ignore[call-arg]
    return Draft4Validator({"$ref": f"file://{path}#/definitions/{definition}"}, registry=registry)


def fits(file: str, definition: str, body: dict[str, Any]) -> None:
    """The published description allows this body; visibly skipped without it."""
    if not COMPUTE.exists():
        pytest.skip("the published descriptions are not here")
    problems = [
        f"{'/'.join(map(str, one.path))}: {one.message}" for one in _validator(file, definition).iter_errors(body)
    ]
    assert not problems


FULL: dict[str, Any] = {
    "id": f"{GROUP}/disks/web-os",
    "name": "web-os",
    "location": "eastus",
    "zones": ["2"],
    "sku": {"name": "Premium_LRS", "tier": "Premium"},
    "extendedLocation": {"name": "edge", "type": "EdgeZone"},
    "managedBy": f"{GROUP}/virtualMachines/web",
    "tags": {"env": "prod", "moorings-role": "checkpoint"},
    "properties": {
        "osType": "Linux",
        "hyperVGeneration": "V2",
        "creationData": {"createOption": "FromImage", "imageReference": {"id": "/x"}, "logicalSectorSize": 512,
                         "performancePlus": True},
        "diskSizeGB": 64, "diskSizeBytes": 68719476736, "tier": "P10", "burstingEnabled": True,
        "diskIOPSReadWrite": 500, "diskMBpsReadWrite": 100, "maxShares": 1, "uniqueId": "u-1", "diskState": "Attached",
        "provisioningState": "Succeeded", "timeCreated": "2026-01-01T00:00:00Z",
        "supportedCapabilities": {"acceleratedNetwork": True, "architecture": "x64", "diskControllerTypes": "SCSI"},
        "purchasePlan": {"name": "n", "publisher": "p", "product": "q"}, "supportsHibernation": True,
        "encryption": {"type": "EncryptionAtRestWithCustomerKey", "diskEncryptionSetId": "/diskEncryptionSets/e"},
        "securityProfile": {"securityType": "TrustedLaunch", "confidentialVMVersion": "x"},
        "networkAccessPolicy": "DenyAll", "publicNetworkAccess": "Disabled", "dataAccessAuthMode": "None",
        "optimizedForFrequentAttach": False,
    },
}  # fmt: skip
NEVER_SENT = {"uniqueId", "diskState", "provisioningState", "timeCreated", "diskSizeBytes", "confidentialVMVersion"}


def entry(wire: dict[str, Any] | None = None, lun: int | None = None, **attachment: Any) -> CheckpointDisk:
    return CheckpointDisk(
        lun=lun,
        source_id=f"{GROUP}/disks/web-os",
        source_unique_id="u-1",
        snapshot_id=f"{GROUP}/snapshots/web-s",
        replacement_id=f"{GROUP}/disks/web-new",
        disk=FULL if wire is None else wire,
        attachment=attachment,
    )


def test_a_snapshot_is_an_incremental_copy_that_nobody_can_export() -> None:
    body = snapshot_body(Disk(FULL), tags={"a": "b"})

    assert body == {
        "location": "eastus",
        "tags": {"a": "b"},
        "properties": {
            "incremental": True,
            "networkAccessPolicy": "DenyAll",
            "publicNetworkAccess": "Disabled",
            "creationData": {"createOption": "Copy", "sourceResourceId": FULL["id"]},
        },
    }
    fits(SNAPSHOTS, "Snapshot", body)


@pytest.mark.parametrize("sku", sorted(INSTANT_SKUS))
def test_disks_whose_snapshots_take_long_ask_for_instant_access(sku: str) -> None:
    body = snapshot_body(Disk({**FULL, "sku": {"name": sku}}), tags={})

    assert 60 <= body["properties"]["creationData"]["instantAccessDurationMinutes"] <= 300


def test_a_replacement_has_everything_that_its_source_has() -> None:
    body = replacement_body(entry(), tags={"a": "b"})

    source, made = FULL["properties"], body["properties"]
    assert made["creationData"] == {
        "createOption": "Copy",
        "sourceResourceId": entry().snapshot_id,
        "logicalSectorSize": 512,
        "performancePlus": True,
    }
    assert made["securityProfile"] == {"securityType": "TrustedLaunch"}
    speed = {"diskIOPSReadWrite", "diskMBpsReadWrite"}  # of a Premium disk it follows from its size
    for key in set(source) - NEVER_SENT - speed - {"creationData", "securityProfile"}:
        assert made[key] == source[key], key
    assert not speed & set(made)
    assert not NEVER_SENT & set(made)
    assert (body["location"], body["zones"], body["sku"]) == ("eastus", ["2"], {"name": "Premium_LRS"})
    assert body["extendedLocation"] == FULL["extendedLocation"]
    assert body["tags"] == {"a": "b"}
    assert "managedBy" not in body
    fits(DISKS, "Disk", body)


@pytest.mark.parametrize(
    ("sku", "chosen"),
    [
        ("PremiumV2_LRS", {"diskIOPSReadWrite", "diskMBpsReadWrite"}),
        ("UltraSSD_LRS", {"diskIOPSReadWrite", "diskMBpsReadWrite"}),
        ("Premium_ZRS", {"tier", "burstingEnabled"}),
        ("StandardSSD_LRS", set()),
        ("Standard_LRS", set()),
    ],
)
def test_of_a_disks_speed_goes_along_what_can_be_chosen_for_its_kind(sku: str, chosen: set[str]) -> None:
    made = replacement_body(entry({**FULL, "sku": {"name": sku}}), tags={})["properties"]

    speed = {"tier", "burstingEnabled", "diskIOPSReadWrite", "diskMBpsReadWrite"}
    assert speed & set(made) == chosen


def test_a_plain_disk_gets_nothing_that_it_had_not() -> None:
    wire = {"id": "/d", "location": "eastus", "sku": {"name": "Standard_LRS"}, "properties": {"diskSizeGB": 30}}

    body = replacement_body(entry(wire), tags={})

    assert body == {
        "location": "eastus",
        "tags": {},
        "sku": {"name": "Standard_LRS"},
        "properties": {
            "diskSizeGB": 30,
            "creationData": {"createOption": "Copy", "sourceResourceId": entry().snapshot_id},
        },
    }
    fits(DISKS, "Disk", body)


absent = st.sets(st.sampled_from(sorted(FULL["properties"])))


@given(absent, st.sets(st.sampled_from(["zones", "sku", "extendedLocation", "tags"])))
def test_whatever_a_disk_has_its_replacement_is_allowed(properties: set[str], members: set[str]) -> None:
    wire = {key: value for key, value in FULL.items() if key not in members}
    wire["properties"] = {key: None if key in properties else value for key, value in FULL["properties"].items()}

    body = replacement_body(entry(wire), tags=own_tags(
        name="n", execution="e", role=CHECKPOINT, stack="s", copied=wire.get("tags") or {}
    ))  # fmt: skip

    assert None not in body["properties"].values()
    assert set(body["properties"]) <= (set(FULL["properties"]) - properties) | {"creationData"}
    fits(DISKS, "Disk", body)


def test_tags_of_ours_are_never_copied_from_a_disk() -> None:
    made = own_tags(name="n", execution="e", role=CHECKPOINT, stack="s", copied=FULL["tags"])

    assert made["env"] == "prod"
    assert {key for key in made if key.startswith(TAG_PREFIX)} == {
        "moorings-execution", "moorings-name", "moorings-role", "moorings-stack",
    }  # fmt: skip


@pytest.mark.parametrize("number", [0, 1, 45, 46, 49, 50])
def test_azures_fifty_tags_are_never_exceeded(number: int) -> None:
    copied = {f"tag{one}": "x" for one in range(number)}

    assert len(own_tags(name="n", execution="e", role=CHECKPOINT, stack="s", copied=copied)) + 1 <= 50


@pytest.mark.parametrize(
    ("properties", "state"),
    [
        ({"provisioningState": "Succeeded"}, (True, "")),
        ({"provisioningState": "Succeeded", "completionPercent": 100.0}, (True, "")),
        ({"provisioningState": "Succeeded", "completionPercent": 99}, (False, "")),
        ({"provisioningState": "Succeeded", "snapshotAccessState": "Pending", "completionPercent": 100}, (False, "")),
        ({"provisioningState": "Succeeded", "snapshotAccessState": "Unknown"}, (False, "")),
        ({"provisioningState": "Succeeded", "snapshotAccessState": "Available"}, (True, "")),
        (
            {"provisioningState": "Succeeded", "snapshotAccessState": "InstantAccess", "completionPercent": 3},
            (True, ""),
        ),
        ({"provisioningState": "Succeeded", "snapshotAccessState": "AvailableWithInstantAccess"}, (True, "")),
        ({"provisioningState": "Updating"}, (False, "")),
        ({}, (False, "")),
        ({"provisioningState": "Failed"}, (False, "Azure says that the snapshot is Failed")),
        ({"provisioningState": "Canceled"}, (False, "Azure says that the snapshot is Canceled")),
        (
            {"provisioningState": "Succeeded", "creationData": {"sourceUniqueId": "u-2"}},
            (False, "the snapshot is of another disk"),
        ),
        ({"provisioningState": "Succeeded", "creationData": {"sourceUniqueId": "u-1"}}, (True, "")),
    ],
)
def test_when_a_snapshot_is_usable(properties: dict[str, Any], state: tuple[bool, str]) -> None:
    assert snapshot_state(Snapshot({"properties": properties}), source_unique_id="u-1") == state


def test_a_snapshot_that_is_gone_is_no_checkpoint() -> None:
    assert snapshot_state(None, source_unique_id="u-1") == (False, "the snapshot is gone")


def vm(**data: str) -> Vm:
    disks = [
        {"lun": int(lun.removeprefix("lun")), "name": lun, "createOption": "Attach", "caching": "ReadOnly",
         "deleteOption": "Detach", "managedDisk": {"id": one, "storageAccountType": "Premium_LRS"}}
        for lun, one in data.items()
    ]  # fmt: skip
    os_disk = {
        "osType": "Linux", "name": "web-os", "createOption": "FromImage", "caching": "ReadWrite",
        "writeAcceleratorEnabled": False, "deleteOption": "Delete", "diskSizeGB": 64,
        "managedDisk": {"id": FULL["id"], "storageAccountType": "Premium_LRS", "diskEncryptionSet": {"id": "/e"}},
    }  # fmt: skip
    profile = {"imageReference": {"offer": "x"}, "osDisk": os_disk, "dataDisks": disks, "diskControllerType": "NVMe"}
    return Vm({"id": f"{GROUP}/virtualMachines/web", "location": "eastus", "properties": {"storageProfile": profile}})


def test_an_os_disk_is_exchanged_and_all_else_stays() -> None:
    before = vm(lun0=f"{GROUP}/disks/d0")

    storage = storage_with(before, os_disk=f"{GROUP}/disks/web-new", data={})

    assert storage["osDisk"] == {
        "osType": "Linux", "name": "web-new", "createOption": "FromImage", "caching": "ReadWrite",
        "writeAcceleratorEnabled": False, "deleteOption": "Delete", "diskSizeGB": 64,
        "managedDisk": {"id": f"{GROUP}/disks/web-new"},
    }  # fmt: skip
    assert storage["dataDisks"] == [dict(disk.wire) for disk in before.data_disks]
    assert storage["imageReference"] == {"offer": "x"}
    assert storage["diskControllerType"] == "NVMe"
    fits(VMS, "StorageProfile", storage)


def test_a_data_disk_leaves_with_one_write_and_its_successor_comes_with_the_next() -> None:
    new = f"{GROUP}/disks/new0"
    wanted = {0: attachment_of(entry(lun=0, caching="ReadOnly", deleteOption="Detach", name="lun0"), new)}
    before = vm(lun0=f"{GROUP}/disks/d0", lun7=f"{GROUP}/disks/d7")

    first = storage_with(before, os_disk="/disks/web-new", data=wanted)
    assert [disk["lun"] for disk in first["dataDisks"]] == [7]
    fits(VMS, "StorageProfile", first)

    second = storage_with(vm(lun7=f"{GROUP}/disks/d7"), os_disk="/disks/web-new", data=wanted)
    assert [disk["lun"] for disk in second["dataDisks"]] == [7, 0]
    assert second["dataDisks"][1] == {
        "lun": 0, "caching": "ReadOnly", "deleteOption": "Detach", "createOption": "Attach", "managedDisk": {"id": new},
    }  # fmt: skip
    fits(VMS, "StorageProfile", second)

    third = storage_with(vm(lun7=f"{GROUP}/disks/d7", lun0=new.upper()), os_disk="/disks/web-new", data=wanted)
    assert sorted(disk["lun"] for disk in third["dataDisks"]) == [0, 7]


luns = st.sets(st.integers(0, 63), max_size=6)


@given(attached=luns, wanted=luns)
def test_two_writes_bring_every_wanted_disk_and_lose_no_other(attached: set[int], wanted: set[int]) -> None:
    data = {lun: attachment_of(entry(lun=lun), f"/disks/new{lun}") for lun in wanted}
    shown = vm(**{f"lun{lun}": f"/disks/old{lun}" for lun in attached})
    for _ in range(2):
        storage = storage_with(shown, os_disk="/disks/o", data=data)
        found = [disk["lun"] for disk in storage["dataDisks"]]
        assert len(found) == len(set(found))
        shown = Vm({"properties": {"storageProfile": storage}})

    after = {disk.lun: disk.disk_id for disk in shown.data_disks}
    expected = {lun: f"/disks/old{lun}" for lun in attached} | {lun: f"/disks/new{lun}" for lun in wanted}
    assert after == expected


@pytest.mark.parametrize(
    ("one", "other", "same"), [("/A/b", "/a/B/", True), ("/a", "/b", False), ("", "", False), ("/a", "", False)]
)
def test_ids_have_no_letter_case(one: str, other: str, same: bool) -> None:
    assert same_id(one, other) is same
