"""What Azure refuses of disks and snapshots, and what becomes of them as time goes on."""

from datetime import timedelta
from typing import Any

import pytest
from tests.localcloud.azure.ground import Arm, copy_of

from localcloud.azure.service import Azure
from localcloud.azure.vm_making import DataDisk
from localcloud.azure.vms import Vm
from localcloud.clock import SteppedClock


@pytest.fixture
def vm(azure: Azure) -> Vm:
    """A virtual machine with a v2 data disk."""
    return azure.vms.create("web", zone="1", data_disks=(DataDisk(lun=0, sku="PremiumV2_LRS"),))


def data_disk(arm: Arm) -> str:
    return arm.id("disks", "web_DataDisk_0")


def test_a_snapshot_holds_the_files_of_its_beginning(arm: Arm, vm: Vm) -> None:
    (vm.os_disk_path / "f").write_text("then")
    first = arm.send("PUT", arm.id("snapshots", "s"), copy_of(vm.os_disk_id))
    (vm.os_disk_path / "f").write_text("later")
    arm.wait(first)

    made = arm.do("PUT", arm.id("disks", "d"), copy_of(arm.id("snapshots", "s")))

    assert (arm.azure.hardware.path(made["properties"]["uniqueId"]) / "f").read_text() == "then"


def test_a_snapshot_says_what_it_was_made_of(arm: Arm, vm: Vm) -> None:
    made = arm.do("PUT", arm.id("snapshots", "s"), copy_of(vm.os_disk_id, incremental=True))

    source = arm.get(vm.os_disk_id)["properties"]
    properties = made["properties"]
    assert properties["creationData"]["sourceUniqueId"] == source["uniqueId"]
    assert [properties[name] for name in ("osType", "hyperVGeneration", "diskSizeGB")] == ["Linux", "V2", 30]
    assert properties["completionPercent"] == 100
    assert "snapshotAccessState" not in properties


def test_a_disk_from_a_snapshot_is_standard_and_nowhere_unless_told(arm: Arm, vm: Vm) -> None:
    arm.do("PUT", arm.id("snapshots", "s"), copy_of(vm.os_disk_id))

    made = arm.do("PUT", arm.id("disks", "d"), copy_of(arm.id("snapshots", "s")))

    assert made["sku"]["name"] == "Standard_LRS"
    assert "zones" not in made
    assert made["properties"]["diskState"] == "Unattached"


def test_a_v2_snapshot_becomes_available_bit_by_bit(arm: Arm, vm: Vm, stepped: SteppedClock) -> None:
    arm.do("PUT", arm.id("snapshots", "s"), copy_of(data_disk(arm), incremental=True))

    pending = arm.get(arm.id("snapshots", "s"))["properties"]
    refused = arm.send("PUT", arm.id("disks", "d"), copy_of(arm.id("snapshots", "s")))
    stepped.step(timedelta(minutes=10))
    ready = arm.get(arm.id("snapshots", "s"))["properties"]

    assert 0 < pending["completionPercent"] < 100
    assert pending["snapshotAccessState"] == "Pending"
    assert (refused.status, refused.code) == (409, "OperationNotAllowed")
    assert (ready["completionPercent"], ready["snapshotAccessState"]) == (100, "Available")
    assert arm.send("PUT", arm.id("disks", "d"), copy_of(arm.id("snapshots", "s"))).status == 202


def test_instant_access_may_be_restored_from_at_once(arm: Arm, vm: Vm, stepped: SteppedClock) -> None:
    body = copy_of(data_disk(arm), incremental=True)
    body["properties"]["creationData"]["instantAccessDurationMinutes"] = 60

    arm.do("PUT", arm.id("snapshots", "s"), body)

    states = [arm.get(arm.id("snapshots", "s"))["properties"]["snapshotAccessState"]]
    assert arm.send("PUT", arm.id("disks", "d"), copy_of(arm.id("snapshots", "s"))).status == 202
    for minutes in (10, 60):
        stepped.step(timedelta(minutes=minutes))
        states.append(arm.get(arm.id("snapshots", "s"))["properties"]["snapshotAccessState"])
    assert states == ["InstantAccess", "AvailableWithInstantAccess", "Available"]


def test_the_eighth_incremental_snapshot_in_five_minutes_is_refused(arm: Arm, vm: Vm, stepped: SteppedClock) -> None:
    body = copy_of(vm.os_disk_id, incremental=True)
    taken = [arm.send("PUT", arm.id("snapshots", f"s{number}"), body) for number in range(8)]

    assert [each.status for each in taken] == [202] * 7 + [409]
    stepped.step(timedelta(minutes=5, seconds=1))
    assert arm.send("PUT", arm.id("snapshots", "s8"), body).status == 202


REFUSED_SNAPSHOTS: list[tuple[str, dict[str, Any], int, str]] = [
    ("incremental on Premium", {"sku": {"name": "Premium_LRS"}, "incremental": True}, 400, "InvalidParameter"),
    ("another region", {"location": "westus"}, 400, "InvalidParameter"),
    ("no such source", {"source": "missing"}, 404, "ResourceNotFound"),
    ("full of a v2 disk", {"source": "web_DataDisk_0"}, 409, "OperationNotAllowed"),
    ("instant access to Premium", {"creation": {"instantAccessDurationMinutes": 60}}, 400, "InvalidParameter"),
    ("CopyStart of a disk", {"creation": {"createOption": "CopyStart"}}, 409, "OperationNotAllowed"),
    ("a misspelt member", {"wrong": True}, 400, "InvalidRequestContent"),
    ("an over-long tag", {"tags": {"a": "x" * 257}}, 400, "InvalidTagValue"),
    ("no location", {"location": ""}, 400, "LocationRequired"),
]


@pytest.mark.parametrize(
    ("change", "status", "code"), [pytest.param(*each[1:], id=each[0]) for each in REFUSED_SNAPSHOTS]
)
def test_snapshots_that_azure_refuses(arm: Arm, vm: Vm, change: dict[str, Any], status: int, code: str) -> None:
    body = copy_of(arm.id("disks", change.get("source", "web_OsDisk_1")), location=change.get("location", "eastus"))
    body |= {name: change[name] for name in ("sku", "tags") if name in change}
    body["properties"] |= {name: change[name] for name in ("incremental", "wrong") if name in change}
    body["properties"]["creationData"] |= change.get("creation", {})

    refused = arm.send("PUT", arm.id("snapshots", "s"), body)

    assert (refused.status, refused.code) == (status, code)
    assert arm.send("GET", arm.id("snapshots", "s")).status == 404


def test_a_name_with_strange_letters_is_refused(arm: Arm, vm: Vm) -> None:
    assert arm.send("PUT", arm.id("snapshots", "-s"), copy_of(vm.os_disk_id)).code == "InvalidParameter"
    assert arm.send("PUT", arm.id("snapshots", "a b"), copy_of(vm.os_disk_id)).code == "InvalidParameter"


def test_python_names_in_a_body_are_refused(arm: Arm, vm: Vm) -> None:
    """A dict body goes out untranslated: reference/azure-compute, section 1."""
    body = {"location": "eastus", "creation_data": {"create_option": "Copy", "source_resource_id": vm.os_disk_id}}

    assert arm.send("PUT", arm.id("snapshots", "s"), body).code == "InvalidRequestContent"


def test_the_same_put_again_changes_nothing_and_another_source_is_refused(arm: Arm, vm: Vm) -> None:
    first = arm.do("PUT", arm.id("snapshots", "s"), copy_of(vm.os_disk_id))

    again = arm.do("PUT", arm.id("snapshots", "s"), copy_of(vm.os_disk_id))
    other = arm.send("PUT", arm.id("snapshots", "s"), copy_of(data_disk(arm)))

    assert again == first
    assert other.code == "PropertyChangeNotAllowed"


def test_a_put_of_a_disk_looks_for_its_source_again(arm: Arm, vm: Vm) -> None:
    arm.do("PUT", arm.id("snapshots", "s"), copy_of(vm.os_disk_id))
    arm.do("PUT", arm.id("disks", "d"), copy_of(arm.id("snapshots", "s")))
    arm.do("DELETE", arm.id("snapshots", "s"))

    assert arm.send("PUT", arm.id("disks", "d"), copy_of(arm.id("snapshots", "s"))).status == 404
    assert arm.do("PATCH", arm.id("disks", "d"), {"tags": {"a": "1"}})["tags"] == {"a": "1"}


def test_a_disk_grows_and_never_shrinks(arm: Arm, vm: Vm) -> None:
    grown = arm.do("PATCH", vm.os_disk_id, {"properties": {"diskSizeGB": 64}})
    shrunk = arm.send("PATCH", vm.os_disk_id, {"properties": {"diskSizeGB": 32}})
    small = arm.send("PUT", arm.id("snapshots", "s"), copy_of(vm.os_disk_id, diskSizeGB=32))

    assert grown["properties"]["diskSizeGB"] == 64
    assert (shrunk.status, shrunk.code) == (409, "ResizeDiskError")
    assert small.code == "InvalidParameter"


def test_an_attached_disk_is_not_deleted(arm: Arm, vm: Vm) -> None:
    refused = arm.send("DELETE", vm.os_disk_id)

    assert (refused.status, refused.code) == (409, "OperationNotAllowed")


def test_while_a_resource_is_written_nobody_else_writes_it(arm: Arm, vm: Vm) -> None:
    first = arm.send("PUT", arm.id("snapshots", "s"), copy_of(vm.os_disk_id))

    others = [
        arm.send("PUT", arm.id("snapshots", "s"), copy_of(vm.os_disk_id)),
        arm.send("PATCH", arm.id("snapshots", "s"), {"tags": {}}),
        arm.send("DELETE", arm.id("snapshots", "s")),
    ]

    assert [(each.status, each.code) for each in others] == [(409, "Conflict")] * 3
    assert arm.wait(first)["status"] == "Succeeded"


def test_a_source_stays_until_its_copy_is_made(arm: Arm, vm: Vm) -> None:
    arm.do("PUT", arm.id("snapshots", "s"), copy_of(vm.os_disk_id))
    copying = arm.send("PUT", arm.id("disks", "d"), copy_of(arm.id("snapshots", "s")))

    assert arm.send("DELETE", arm.id("snapshots", "s")).code == "Conflict"
    arm.wait(copying)
    assert arm.send("DELETE", arm.id("snapshots", "s")).status == 202


def test_a_name_that_comes_back_is_another_disk(arm: Arm, vm: Vm) -> None:
    empty = {"location": "eastus", "properties": {"creationData": {"createOption": "Empty"}, "diskSizeGB": 4}}
    ids = []
    for _ in range(2):
        made = arm.do("PUT", arm.id("disks", "d"), empty)
        ids.append(made["properties"]["uniqueId"])
        arm.do("DELETE", arm.id("disks", "d"))

    assert ids[0] != ids[1]
    assert not arm.azure.hardware.path(ids[0]).exists()


def test_a_deletion_may_be_repeated(arm: Arm, vm: Vm) -> None:
    assert arm.send("DELETE", arm.id("disks", "never")).status == 204
    assert arm.send("DELETE", arm.id("snapshots", "never")).status == 204


def test_tags_of_a_put_are_all_tags(arm: Arm, vm: Vm) -> None:
    arm.do("PUT", arm.id("snapshots", "s"), {**copy_of(vm.os_disk_id), "tags": {"a": "1"}})

    assert arm.do("PATCH", arm.id("snapshots", "s"), {"tags": {"b": "2"}})["tags"] == {"b": "2"}
    assert "tags" not in arm.do("PUT", arm.id("snapshots", "s"), copy_of(vm.os_disk_id))
