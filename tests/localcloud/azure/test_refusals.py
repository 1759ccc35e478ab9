"""What Resource Manager refuses before anything moves: disks that are named twice or go, documents of another shape."""

from typing import Any

import pytest
from tests.localcloud.azure.ground import Arm, copy_of

from localcloud.azure.service import Azure
from localcloud.azure.vm_making import DataDisk
from localcloud.azure.vms import Vm


@pytest.fixture
def vm(azure: Azure) -> Vm:
    return azure.vms.create("web", data_disks=(DataDisk(lun=0),))


def empty_disk(arm: Arm, name: str) -> str:
    body = {"location": "eastus", "properties": {"creationData": {"createOption": "Empty"}, "diskSizeGB": 4}}
    return str(arm.do("PUT", arm.id("disks", name), body)["id"])


def machine_with(*data_disks: dict[str, Any]) -> dict[str, Any]:
    profile = {"osDisk": {"createOption": "FromImage"}, "imageReference": {"publisher": "Canonical", "sku": "gen2"}}
    return {"location": "eastus", "properties": {"storageProfile": {**profile, "dataDisks": list(data_disks)}}}


def attached(lun: int, disk_id: str) -> dict[str, Any]:
    return {"lun": lun, "createOption": "Attach", "managedDisk": {"id": disk_id}}


# -- disks


def test_a_disk_has_one_lun(arm: Arm, vm: Vm) -> None:
    disk = empty_disk(arm, "data")
    twice = {"dataDisksToAttach": [{"diskId": disk, "lun": 4}, {"diskId": disk.upper(), "lun": 5}]}

    assert arm.send("POST", f"{vm.id}/attachDetachDataDisks", twice).status == 400
    new = arm.send("PUT", arm.id("virtualMachines", "new"), machine_with(attached(1, disk), attached(2, disk)))
    assert new.status == 400
    assert "managedBy" not in arm.get(disk)


def test_an_os_disk_is_no_data_disk(arm: Arm, vm: Vm) -> None:
    arm.do("PUT", arm.id("snapshots", "s"), copy_of(vm.os_disk_id))
    body = copy_of(arm.id("snapshots", "s")) | {"sku": {"name": "Premium_LRS"}}
    disk = arm.do("PUT", arm.id("disks", "restored"), body)["id"]
    arm.do("POST", f"{vm.id}/powerOff")
    document = arm.get(vm.id)
    storage = document["properties"]["storageProfile"]
    storage["osDisk"] |= {"managedDisk": {"id": disk}, "name": "restored"}
    storage["dataDisks"].append(attached(1, disk))

    assert arm.send("PUT", vm.id, document).status == 400


def test_two_new_disks_do_not_share_a_name(arm: Arm, vm: Vm) -> None:
    named = [{"lun": lun, "createOption": "Empty", "diskSizeGB": 4, "name": "same"} for lun in (1, 2)]

    assert arm.send("PUT", arm.id("virtualMachines", "new"), machine_with(*named)).status == 400
    assert arm.send("GET", arm.id("disks", "same")).status == 404


def test_a_new_machine_does_not_take_a_disk_that_goes(arm: Arm, vm: Vm) -> None:
    disk = empty_disk(arm, "data")
    going = arm.send("DELETE", disk)
    new = arm.send("PUT", arm.id("virtualMachines", "new"), machine_with(attached(1, disk)))

    assert (new.status, new.code) == (409, "Conflict")
    assert arm.wait(going)["status"] == "Succeeded"


# -- documents

STORAGE = "properties.storageProfile"


@pytest.mark.parametrize(
    ("properties", "target"),
    [
        ([], "properties"),
        ({"networkProfile": "nic"}, "properties.networkProfile"),
        ({"networkProfile": {"networkInterfaces": ["nic"]}}, "properties.networkProfile.networkInterfaces[0]"),
        ({"storageProfile": {"osDisk": "disk"}}, f"{STORAGE}.osDisk"),
        ({"storageProfile": {"osDisk": {"diskSizeGB": "64"}}}, f"{STORAGE}.osDisk.diskSizeGB"),
        ({"storageProfile": {"dataDisks": {"lun": 0}}}, f"{STORAGE}.dataDisks"),
        ({"storageProfile": {"dataDisks": [None]}}, f"{STORAGE}.dataDisks[0]"),
        ({"storageProfile": {"dataDisks": [{"managedDisk": []}]}}, f"{STORAGE}.dataDisks[0].managedDisk"),
    ],
)
def test_a_value_of_another_type_is_refused_by_its_path(arm: Arm, vm: Vm, properties: Any, target: str) -> None:
    answer = arm.send("PATCH", vm.id, {"properties": properties})

    assert (answer.status, answer.code, answer.body["error"]["target"]) == (400, "InvalidRequestContent", target)


def test_other_documents_are_held_to_their_types_too(arm: Arm, vm: Vm) -> None:
    disk = {"location": "eastus", "properties": {"creationData": {"createOption": "Empty"}, "encryption": "key"}}

    assert arm.send("PUT", arm.id("disks", "d"), disk).code == "InvalidRequestContent"
    assert arm.send("PATCH", vm.os_disk_id, {"properties": {"diskSizeGB": True}}).code == "InvalidRequestContent"
    assert arm.send("POST", f"{vm.id}/attachDetachDataDisks", {"dataDisksToAttach": ["id"]}).status == 400


def test_null_says_no_more_than_what_is_left_out(arm: Arm, vm: Vm) -> None:
    before = arm.get(vm.os_disk_id)["properties"]

    after = arm.do("PATCH", vm.os_disk_id, {"tags": {"a": "1"}, "properties": {"diskSizeGB": None, "osType": None}})

    assert after["properties"] | {"timeCreated": ""} == before | {"timeCreated": ""}
    assert arm.do("PATCH", vm.id, {"tags": {"a": "1"}, "properties": None})["tags"] == {"a": "1"}
