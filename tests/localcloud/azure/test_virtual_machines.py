"""Virtual machines: power, conflicts, conditions, and the exchange of their disks with all that Azure refuses."""

from datetime import timedelta
from typing import Any

import pytest
from tests.localcloud.azure.ground import Answer, Arm, copy_of

from localcloud.azure.hardware import PlainDirectories
from localcloud.azure.service import Azure
from localcloud.azure.vm_making import DataDisk
from localcloud.azure.vms import Vm
from localcloud.clock import SteppedClock


@pytest.fixture
def vm(azure: Azure) -> Vm:
    """A virtual machine in zone 1, Trusted Launch, with one data disk."""
    disks = (DataDisk(lun=0),)
    return azure.vms.create("web", zone="1", security_type="TrustedLaunch", data_disks=disks, tags={"a": "1"})


def restored(arm: Arm, vm: Vm, name: str = "restored", **changes: Any) -> str:
    """A disk like the OS disk, made from a snapshot of it; `changes` make it different."""
    if arm.send("GET", arm.id("snapshots", "s")).status == 404:
        arm.do("PUT", arm.id("snapshots", "s"), copy_of(vm.os_disk_id))
    body = copy_of(arm.id("snapshots", "s"), securityProfile={"securityType": "TrustedLaunch"})
    body |= {"sku": {"name": "Premium_LRS"}, "zones": ["1"]}
    body |= {key: value for key, value in changes.items() if key in {"zones", "sku"}}
    body["properties"] |= {key: value for key, value in changes.items() if key not in {"zones", "sku"}}
    return str(arm.do("PUT", arm.id("disks", name), {key: value for key, value in body.items() if value})["id"])


def swap(arm: Arm, vm: Vm, disk_id: str, **os_disk: Any) -> Answer:
    """PUT the virtual machine with another OS disk."""
    document = arm.get(vm.id)
    document["properties"]["storageProfile"]["osDisk"] |= {
        "managedDisk": {"id": disk_id}, "name": disk_id.rsplit("/", 1)[1], **os_disk
    }  # fmt: skip
    return arm.send("PUT", vm.id, document)


def power_of(arm: Arm, vm: Vm) -> str:
    codes = [each["code"] for each in arm.get(f"{vm.id}/instanceView")["statuses"]]
    return next(code.removeprefix("PowerState/") for code in codes if code.startswith("PowerState/"))


# -- power


def test_power_passes_through_its_states(arm: Arm, vm: Vm) -> None:
    seen = [power_of(arm, vm)]
    for action in ("powerOff", "start", "deallocate", "start"):
        first = arm.send("POST", f"{vm.id}/{action}")
        assert (first.status, first.body) == (202, None)
        seen.append(power_of(arm, vm))
        assert arm.get(vm.id)["properties"]["provisioningState"] == "Updating"
        arm.wait(first)
        seen.append(power_of(arm, vm))

    assert seen == [
        "running", "stopping", "stopped", "starting", "running", "deallocating", "deallocated", "starting", "running"
    ]  # fmt: skip


def test_skipping_the_shutdown_is_faster(arm: Arm, vm: Vm, stepped: SteppedClock) -> None:
    first = arm.send("POST", f"{vm.id}/powerOff?skipShutdown=true")
    stepped.step(timedelta(seconds=9))

    assert arm.get(first.headers.get("Azure-AsyncOperation"))["status"] == "Succeeded"


def test_a_system_that_shut_itself_down_is_stopped_not_deallocated(arm: Arm, vm: Vm) -> None:
    assert isinstance(arm.azure.hardware, PlainDirectories)
    arm.azure.hardware.power_off(vm.vm_id, hard=False)

    assert power_of(arm, vm) == "stopped"
    arm.do("POST", f"{vm.id}/start")
    assert power_of(arm, vm) == "running"


def test_the_disks_of_a_deallocated_machine_are_reserved(arm: Arm, vm: Vm) -> None:
    arm.do("POST", f"{vm.id}/deallocate")

    assert arm.get(vm.os_disk_id)["properties"]["diskState"] == "Reserved"
    assert arm.send("POST", f"{vm.id}/powerOff").code == "OperationNotAllowed"
    assert arm.send("POST", f"{vm.id}/restart").code == "OperationNotAllowed"


def test_a_second_writer_is_refused_while_an_operation_runs(arm: Arm, vm: Vm) -> None:
    first = arm.send("POST", f"{vm.id}/powerOff")

    others = [
        arm.send("POST", f"{vm.id}/start"),
        arm.send("PATCH", vm.id, {"tags": {}}),
        arm.send("DELETE", vm.id),
    ]

    assert [(each.status, each.code) for each in others] == [(409, "Conflict")] * 3
    assert arm.wait(first)["status"] == "Succeeded"


def test_a_start_without_capacity_leaves_it_deallocated_and_failed(arm: Arm, vm: Vm) -> None:
    arm.azure.faults.allocation_fails()
    arm.do("POST", f"{vm.id}/powerOff")
    arm.do("POST", f"{vm.id}/start")  # it kept its hardware, so there is capacity
    arm.do("POST", f"{vm.id}/deallocate")

    status = arm.wait(arm.send("POST", f"{vm.id}/start"))

    assert (status["status"], status["error"]["code"]) == ("Failed", "AllocationFailed")
    codes = [each["code"] for each in arm.get(f"{vm.id}/instanceView")["statuses"]]
    assert codes == ["ProvisioningState/failed/AllocationFailed", "PowerState/deallocated"]
    arm.do("POST", f"{vm.id}/start")
    assert arm.get(vm.id)["properties"]["provisioningState"] == "Succeeded"


def test_reapply_clears_a_failure(arm: Arm, vm: Vm) -> None:
    arm.azure.faults.update_fails()
    arm.wait(arm.send("PATCH", vm.id, {"tags": {"b": "2"}}))
    assert arm.get(vm.id)["properties"]["provisioningState"] == "Failed"

    arm.do("POST", f"{vm.id}/reapply")

    assert arm.get(vm.id)["properties"]["provisioningState"] == "Succeeded"
    assert arm.get(vm.id)["tags"] == {"a": "1"}


# -- documents


def test_every_accepted_write_changes_the_etag_and_power_does_not(arm: Arm, vm: Vm) -> None:
    etags = [arm.get(vm.id)["etag"]]
    for method, target, body in (("PATCH", vm.id, {"tags": {}}), ("POST", f"{vm.id}/powerOff", None)):
        arm.wait(arm.send(method, target, body))
        etags.append(arm.get(vm.id)["etag"])

    assert etags == ['"1"', '"2"', '"2"']


def test_a_condition_that_does_not_hold_stops_the_write(arm: Arm, vm: Vm) -> None:
    old = arm.send("PATCH", vm.id, {"tags": {}}, headers={"If-Match": '"7"'})
    there = arm.send("PUT", vm.id, arm.get(vm.id), headers={"If-None-Match": "*"})
    good = arm.send("PATCH", vm.id, {"tags": {}}, headers={"If-Match": '"1"'})

    assert [(each.status, each.code) for each in (old, there)] == [(412, "PreconditionFailed")] * 2
    assert good.status == 200


def test_what_get_shows_may_be_put_back(arm: Arm, vm: Vm) -> None:
    before = arm.get(f"{vm.id}?$expand=instanceView")

    arm.wait(arm.send("PUT", vm.id, before))

    after = arm.get(f"{vm.id}?$expand=instanceView")
    assert {**after, "etag": ""} == {**before, "etag": ""}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"zones": ["2"]}, "PropertyChangeNotAllowed"),
        ({"location": "westus"}, "InvalidResourceLocation"),
        ({"properties": {"osProfile": {"computerName": "other"}}}, "PropertyChangeNotAllowed"),
        ({"properties": {"securityProfile": {"securityType": "Standard"}}}, "PropertyChangeNotAllowed"),
        ({"properties": {"storageProfile": {"osDisk": {"createOption": "Attach"}}}}, "PropertyChangeNotAllowed"),
        ({"properties": {"storageProfile": {"osDisk": {"name": "x"}}}}, "PropertyChangeNotAllowed"),
    ],
)
def test_what_is_fixed_at_creation_stays(arm: Arm, vm: Vm, change: dict[str, Any], code: str) -> None:
    method = "PUT" if "location" in change else "PATCH"

    assert arm.send(method, vm.id, change).code == code


def test_deleting_takes_the_disks_that_say_so(arm: Arm, azure: Azure) -> None:
    vm = azure.vms.create("gone", data_disks=(DataDisk(lun=0), DataDisk(lun=1)))
    vm.document["properties"]["storageProfile"]["dataDisks"][0]["deleteOption"] = "Delete"

    arm.do("DELETE", vm.id)

    assert arm.send("GET", vm.id).status == 404
    assert arm.send("GET", arm.id("disks", "gone_DataDisk_0")).status == 404
    assert arm.get(arm.id("disks", "gone_DataDisk_1"))["properties"]["diskState"] == "Unattached"
    assert "managedBy" not in arm.get(arm.id("disks", "gone_OsDisk_1"))


# -- the OS disk


def test_a_swap_moves_the_machine_to_the_new_disk_and_keeps_the_old_one(arm: Arm, vm: Vm) -> None:
    (vm.os_disk_path / "f").write_text("before")
    new, old = restored(arm, vm), vm.os_disk_id
    (vm.os_disk_path / "f").write_text("after")
    arm.do("POST", f"{vm.id}/powerOff")

    first = swap(arm, vm, new)
    assert (first.status, first.body["properties"]["provisioningState"]) == (200, "Updating")
    assert vm.os_disk_id == old, "until the operation has ended"
    arm.wait(first)

    assert vm.os_disk_id == new
    assert (arm.get(new)["managedBy"], arm.get(old)["properties"]["diskState"]) == (vm.id, "Unattached")
    assert (vm.os_disk_path / "f").read_text() == "before"
    assert isinstance(arm.azure.hardware, PlainDirectories)
    assert arm.azure.hardware.disks_of(vm.vm_id)[-1] == arm.get(new)["properties"]["uniqueId"]


def test_a_patch_swaps_too(arm: Arm, vm: Vm) -> None:
    new = restored(arm, vm)
    arm.do("POST", f"{vm.id}/deallocate")

    os_disk = {"createOption": "FromImage", "name": "restored", "managedDisk": {"id": new.upper()}}
    arm.wait(arm.send("PATCH", vm.id, {"properties": {"storageProfile": {"osDisk": os_disk}}}))

    assert vm.os_disk_id == new


@pytest.mark.parametrize(
    ("needs", "allowed"),
    [
        ("running", {"running", "stopped", "deallocated"}),
        ("stopped", {"stopped", "deallocated"}),
        ("deallocated", {"deallocated"}),
    ],
)
def test_the_state_that_a_swap_needs_is_a_switch(arm: Arm, vm: Vm, needs: Any, allowed: set[str]) -> None:
    arm.azure.choices.swap_needs = needs
    states = {"running": None, "stopped": "powerOff", "deallocated": "deallocate"}

    for number, (state, action) in enumerate(states.items()):
        new = restored(arm, vm, f"d{number}")
        if action:
            arm.do("POST", f"{vm.id}/start")
            arm.do("POST", f"{vm.id}/{action}")
        answer = swap(arm, vm, new)
        assert (answer.status == 200) == (state in allowed), answer
        if answer.status == 200:
            arm.wait(answer)
            assert (vm.os_disk_id, power_of(arm, vm)) == (new, state)
        else:
            assert answer.code == "OperationNotAllowed"


UNFIT: list[tuple[str, dict[str, Any], str]] = [
    ("size", {"diskSizeGB": 64}, "OperationNotAllowed"),
    ("zone", {"zones": ["2"]}, "OperationNotAllowed"),
    ("no zone", {"zones": []}, "OperationNotAllowed"),
    ("generation", {"hyperVGeneration": "V1"}, "OperationNotAllowed"),
    ("security type", {"securityProfile": {}}, "OperationNotAllowed"),
    ("system", {"osType": "Windows"}, "PropertyChangeNotAllowed"),
    ("encryption", {"encryption": {"diskEncryptionSetId": "/subscriptions/s/x"}}, "OperationNotAllowed"),
    ("Azure Disk Encryption", {"encryptionSettingsCollection": {"enabled": True}}, "OperationNotAllowed"),
    ("Ultra", {"sku": {"name": "UltraSSD_LRS"}}, "OperationNotAllowed"),
]


@pytest.mark.parametrize(("change", "code"), [pytest.param(*each[1:], id=each[0]) for each in UNFIT])
def test_a_disk_that_does_not_fit_is_refused(arm: Arm, vm: Vm, change: dict[str, Any], code: str) -> None:
    new = restored(arm, vm, **change)
    arm.do("POST", f"{vm.id}/powerOff")

    answer = swap(arm, vm, new)

    assert (answer.status, answer.code) == (409, code)


def test_contradicting_members_of_the_os_disk_are_refused(arm: Arm, vm: Vm) -> None:
    new = restored(arm, vm)
    arm.do("POST", f"{vm.id}/powerOff")

    assert swap(arm, vm, new, name="other").code == "PropertyChangeNotAllowed"
    managed = {"id": new, "storageAccountType": "Standard_LRS"}
    assert swap(arm, vm, new, managedDisk=managed).code == "PropertyChangeNotAllowed"
    assert swap(arm, vm, new, createOption="Attach").code == "PropertyChangeNotAllowed"
    assert swap(arm, vm, new, diskSizeGB=10).code == "ResizeDiskError"


def test_another_machines_disk_is_refused(arm: Arm, vm: Vm, azure: Azure) -> None:
    other = azure.vms.create("other", zone="1", security_type="TrustedLaunch")
    arm.do("POST", f"{vm.id}/powerOff")

    assert swap(arm, vm, other.os_disk_id).code == "ConflictingUserInput"
    assert swap(arm, vm, arm.id("disks", "missing")).code == "ResourceNotFound"


def test_an_ephemeral_os_disk_is_no_resource_and_stays(arm: Arm, azure: Azure) -> None:
    vm = azure.vms.create("short", ephemeral=True)

    assert arm.send("GET", vm.os_disk_id).status == 404
    assert arm.send("PUT", arm.id("snapshots", "s"), copy_of(vm.os_disk_id)).status == 404
    assert arm.send("POST", f"{vm.id}/deallocate").code == "OperationNotAllowed"


def test_a_failed_update_leaves_the_old_disk_unless_it_was_applied(arm: Arm, vm: Vm) -> None:
    new, old = restored(arm, vm), vm.os_disk_id
    arm.do("POST", f"{vm.id}/powerOff")

    arm.azure.faults.update_fails()
    assert arm.wait(swap(arm, vm, new))["status"] == "Failed"
    assert vm.os_disk_id == old
    arm.azure.faults.update_ignored()
    assert arm.wait(swap(arm, vm, new))["status"] == "Succeeded"
    assert vm.os_disk_id == old
    arm.azure.faults.update_fails(applied=True)
    assert arm.wait(swap(arm, vm, new))["status"] == "Failed"
    assert vm.os_disk_id == new


# -- data disks


def test_data_disks_that_are_left_out_are_detached(arm: Arm, vm: Vm) -> None:
    document = arm.get(vm.id)
    document["properties"]["storageProfile"]["dataDisks"] = []
    arm.wait(arm.send("PUT", vm.id, document))

    assert arm.get(vm.id)["properties"]["storageProfile"]["dataDisks"] == []
    assert arm.get(arm.id("disks", "web_DataDisk_0"))["properties"]["diskState"] == "Unattached"


def test_another_disk_at_a_lun_that_is_taken_needs_the_switch(arm: Arm, vm: Vm) -> None:
    arm.do("PUT", arm.id("disks", "d"), {**_empty(), "zones": ["1"]})
    wanted = [{"lun": 0, "createOption": "Attach", "managedDisk": {"id": arm.id("disks", "d")}}]
    body = {"properties": {"storageProfile": {"dataDisks": wanted}}}

    assert arm.send("PATCH", vm.id, body).code == "ConflictingUserInput"
    arm.azure.choices.same_lun_replacement = True
    arm.wait(arm.send("PATCH", vm.id, body))

    assert arm.get(vm.id)["properties"]["storageProfile"]["dataDisks"][0]["name"] == "d"


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({"lun": 0, "createOption": "Attach", "managedDisk": {"id": "d"}}, "InvalidParameter"),
        ({"lun": 99, "createOption": "Attach", "managedDisk": {"id": "d"}}, "InvalidParameter"),
        ({"createOption": "Attach", "managedDisk": {"id": "d"}}, "InvalidParameter"),
        ({"lun": 1, "createOption": "Attach"}, "InvalidParameter"),
        ({"lun": 1, "createOption": "Empty", "managedDisk": {"id": "d"}}, "InvalidParameterConflictingProperties"),
        ({"lun": 1, "createOption": "Attach", "managedDisk": {"id": "other_OsDisk_1"}}, "ConflictingUserInput"),
        ({"lun": 1, "createOption": "Attach", "managedDisk": {"id": "missing"}}, "ResourceNotFound"),
        ({"lun": 1, "createOption": "Attach", "managedDisk": {"id": "d"}}, "OperationNotAllowed"),  # another zone
    ],
)
def test_data_disks_that_azure_refuses(arm: Arm, vm: Vm, azure: Azure, entry: dict[str, Any], code: str) -> None:
    azure.vms.create("other")
    arm.do("PUT", arm.id("disks", "d"), _empty())
    if "managedDisk" in entry:
        entry = {**entry, "managedDisk": {"id": arm.id("disks", entry["managedDisk"]["id"])}}
    entries = arm.get(vm.id)["properties"]["storageProfile"]["dataDisks"]

    answer = arm.send("PATCH", vm.id, {"properties": {"storageProfile": {"dataDisks": [*entries, entry]}}})

    assert answer.code == code


def test_a_disk_that_is_still_detaching_is_not_attached(arm: Arm, vm: Vm) -> None:
    arm.do("PUT", arm.id("disks", "d"), {**_empty(), "zones": ["1"]})
    arm.azure.faults.attach_while_detaching(2)
    body = {"dataDisksToAttach": [{"diskId": arm.id("disks", "d"), "lun": 1}]}

    answers = [arm.send("POST", f"{vm.id}/attachDetachDataDisks", body) for _ in range(3)]

    assert [each.code for each in answers] == ["AttachDiskWhileBeingDetached"] * 2 + [""]


def _empty() -> dict[str, Any]:
    return {"location": "eastus", "properties": {"creationData": {"createOption": "Empty"}, "diskSizeGB": 4}}
