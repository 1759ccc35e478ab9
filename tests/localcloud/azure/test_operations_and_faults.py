"""The protocol of long-running operations by hand, failures on demand, and the log of calls."""

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.localcloud.azure.ground import Answer, Arm, copy_of

from localcloud.azure.hardware import PlainDirectories
from localcloud.azure.service import Azure
from localcloud.azure.vms import Vm
from localcloud.clock import SteppedClock
from localcloud.cloud import LocalCloud
from localcloud.errors import ConnectionLost, LocalCloudError

WRITE_SNAPSHOT = "Microsoft.Compute/snapshots/write"


@pytest.fixture
def vm(azure: Azure) -> Vm:
    return azure.vms.create("web")


def snapshot(arm: Arm, vm: Vm, name: str = "s") -> Answer:
    return arm.send("PUT", arm.id("snapshots", name), copy_of(vm.os_disk_id))


# -- the protocol


def test_first_answers_name_both_monitors_or_one(arm: Arm, vm: Vm) -> None:
    first = snapshot(arm, vm)
    patched = arm.send("PATCH", vm.id, {"tags": {}})

    assert (first.status, first.body["properties"]["provisioningState"]) == (202, "Updating")
    assert first.headers.get("Location") == first.headers.get("Azure-AsyncOperation") + "&monitor=true"
    assert "/locations/eastus/DiskOperations/" in first.headers.get("Location")
    assert (patched.status, "Location" in patched.headers) == (200, False)
    assert "/locations/eastus/operations/" in patched.headers.get("Azure-AsyncOperation")


def test_a_new_machine_is_a_201(arm: Arm, vm: Vm) -> None:
    profile = {"osDisk": {"createOption": "FromImage"}, "imageReference": {"publisher": "Canonical", "sku": "gen2"}}
    body = {"location": "eastus", "properties": {"storageProfile": profile}}

    first = arm.send("PUT", arm.id("virtualMachines", "new"), body)

    assert (first.status, first.body["properties"]["provisioningState"]) == (201, "Creating")
    assert arm.wait(first)["status"] == "Succeeded"
    made = arm.get(arm.id("virtualMachines", "new"))
    assert arm.get(made["properties"]["storageProfile"]["osDisk"]["managedDisk"]["id"])["managedBy"] == made["id"]


def test_the_location_answers_202_until_the_result(arm: Arm, vm: Vm, stepped: SteppedClock) -> None:
    location = snapshot(arm, vm).headers.get("Location")

    early = arm.send("GET", location)
    stepped.step(timedelta(minutes=1))
    late = arm.send("GET", location)

    assert (early.status, early.headers.get("Location"), early.body) == (202, location, None)
    assert (late.status, late.body["name"]) == (200, "s")


def test_a_deletion_and_an_action_end_with_204(arm: Arm, vm: Vm) -> None:
    arm.wait(snapshot(arm, vm))
    for first in (arm.send("DELETE", arm.id("snapshots", "s")), arm.send("POST", f"{vm.id}/powerOff")):
        assert arm.wait(first)["status"] == "Succeeded"
        assert arm.send("GET", first.headers.get("Location")).status == 204


def test_monitors_are_forgotten_after_a_day(arm: Arm, azure: Azure, vm: Vm, stepped: SteppedClock) -> None:
    """A cloud that runs for weeks does not grow with each call."""
    snapshot_id = arm.id("snapshots", "s")
    first = snapshot(arm, vm)
    arm.wait(first)
    arm.wait(arm.send("DELETE", snapshot_id))
    stepped.step(timedelta(hours=23))
    arm.do("PATCH", vm.id, {"tags": {"a": "1"}})
    assert arm.get(first.headers.get("Azure-AsyncOperation"))["status"] == "Succeeded"

    stepped.step(timedelta(hours=2))
    arm.do("PATCH", vm.id, {"tags": {"a": "2"}})

    assert arm.send("GET", first.headers.get("Azure-AsyncOperation")).status == 404
    assert snapshot_id.lower() not in azure.state.previous
    assert arm.get(vm.id)["tags"] == {"a": "2"}


def test_a_status_tells_times_and_name(arm: Arm, vm: Vm) -> None:
    first = snapshot(arm, vm)
    running = arm.get(first.headers.get("Azure-AsyncOperation"))
    ended = arm.wait(first)

    assert set(running) == {"startTime", "status", "name"}
    assert set(ended) == {"startTime", "endTime", "status", "name"}
    assert ended["name"] in first.headers.get("Location")


def test_a_monitors_url_is_taken_as_given_or_not_at_all(arm: Arm, vm: Vm) -> None:
    url = snapshot(arm, vm).headers.get("Azure-AsyncOperation")

    assert arm.send("GET", url.replace("p=", "p=x")).status == 404
    assert arm.send("GET", url.replace("eastus", "westus")).status == 404


def test_retry_after_is_a_whole_number_of_at_least_one() -> None:
    with LocalCloud(scale=0.01, in_process=True) as cloud:
        vm = cloud.azure.vms.create("web")
        first = snapshot(Arm(cloud.azure, SteppedClock()), vm)

        assert first.headers.get("Retry-After") == "1"
        cloud.azure.choices.retry_after = None
        assert "Retry-After" not in snapshot(Arm(cloud.azure, SteppedClock()), vm, "s2").headers


# -- failures


def test_a_throttled_call_has_no_effect_and_says_when(arm: Arm, vm: Vm) -> None:
    arm.azure.faults.throttle(WRITE_SNAPSHOT, retry_after=600)

    refused = snapshot(arm, vm)

    assert (refused.status, refused.headers.get("Retry-After")) == (429, "600")
    assert arm.send("GET", arm.id("snapshots", "s")).status == 404
    assert snapshot(arm, vm).status == 202


def test_an_error_is_bound_to_a_resource_and_a_count(arm: Arm, vm: Vm) -> None:
    arm.azure.faults.error(WRITE_SNAPSHOT, status=503, code="ServerBusy", count=2, resource="/b")

    assert [snapshot(arm, vm, name).status for name in ("a", "b", "c", "b", "b")] == [202, 503, 202, 503, 202]


@pytest.mark.parametrize(("fault", "there"), [("drop", False), ("lose_answer", True)])
def test_a_broken_connection_comes_before_or_after_the_effect(arm: Arm, vm: Vm, fault: str, there: bool) -> None:
    getattr(arm.azure.faults, fault)(WRITE_SNAPSHOT)

    with pytest.raises(ConnectionLost):
        snapshot(arm, vm)

    assert arm.azure.calls.snapshot()[-1].lost
    assert (arm.send("GET", arm.id("snapshots", "s")).status == 200) == there


def test_a_stuck_snapshot_is_never_there_and_a_failed_one_says_why(arm: Arm, vm: Vm, stepped: SteppedClock) -> None:
    arm.azure.faults.snapshot_stuck(resource="/stuck")
    arm.azure.faults.snapshot_failed(resource="/failed")
    stuck, failed = snapshot(arm, vm, "stuck"), arm.wait(snapshot(arm, vm, "failed"))
    stepped.step(timedelta(days=1))

    assert arm.get(stuck.headers.get("Azure-AsyncOperation"))["status"] == "InProgress"
    assert arm.get(arm.id("snapshots", "stuck"))["properties"]["provisioningState"] == "Creating"
    assert (failed["status"], failed["error"]["code"]) == ("Failed", "InternalExecutionError")
    assert arm.get(arm.id("snapshots", "failed"))["properties"]["provisioningState"] == "Failed"
    assert arm.send("PUT", arm.id("disks", "d"), copy_of(arm.id("snapshots", "failed"))).code == "OperationNotAllowed"


def test_an_operation_may_be_cancelled_by_the_service(arm: Arm, vm: Vm) -> None:
    arm.azure.faults.operation_fails(WRITE_SNAPSHOT, status="Canceled", code="OperationPreempted")

    ended = arm.wait(snapshot(arm, vm))

    assert (ended["status"], ended["error"]["code"]) == ("Canceled", "OperationPreempted")


def test_a_stale_read_shows_what_was_there_before(arm: Arm, vm: Vm) -> None:
    arm.do("PATCH", vm.id, {"tags": {"a": "1"}})
    arm.wait(snapshot(arm, vm))
    arm.azure.faults.stale_read(count=2)

    assert "tags" not in arm.get(vm.id)
    assert arm.send("GET", arm.id("snapshots", "s")).status == 404
    assert arm.get(vm.id)["tags"] == {"a": "1"}
    assert arm.send("GET", arm.id("snapshots", "s")).status == 200


def test_a_monitor_may_be_gone_while_the_operation_goes_on(arm: Arm, vm: Vm) -> None:
    arm.azure.faults.monitor_gone()
    first = arm.send("POST", f"{vm.id}/powerOff")

    assert arm.send("GET", first.headers.get("Azure-AsyncOperation")).status == 404
    assert arm.wait(first)["status"] == "Succeeded"


def test_a_copy_may_stand_still(arm: Arm, azure: Azure, stepped: SteppedClock) -> None:
    arm.azure.resource_group("servers")
    body: dict[str, Any] = {"location": "eastus", "sku": {"name": "PremiumV2_LRS"}}
    body["properties"] = {"creationData": {"createOption": "Empty"}, "diskSizeGB": 4}
    arm.do("PUT", arm.id("disks", "d"), body)
    azure.faults.snapshot_copy_stuck(42)

    arm.do("PUT", arm.id("snapshots", "s"), copy_of(arm.id("disks", "d"), incremental=True))
    stepped.step(timedelta(days=1))

    properties = arm.get(arm.id("snapshots", "s"))["properties"]
    assert (properties["completionPercent"], properties["snapshotAccessState"]) == (42, "Pending")


class _Broken(PlainDirectories):
    """Hardware whose power does not come back and whose disks cannot be copied."""

    def copy(self, source: str, target: str) -> None:
        raise OSError("no space left on device")

    def power_off(self, vm: str, *, hard: bool) -> None:
        raise LocalCloudError("the switch is stuck")


def test_hardware_that_fails_is_a_failed_operation(arm: Arm, vm: Vm, azure: Azure, tmp_path: Path) -> None:
    azure.hardware = _Broken(tmp_path)

    for first in (snapshot(arm, vm), arm.send("POST", f"{vm.id}/powerOff")):
        ended = arm.wait(first)
        assert (ended["status"], ended["error"]["code"]) == ("Failed", "InternalExecutionError")


def test_in_real_time_power_comes_without_anybody_looking() -> None:
    came = threading.Event()

    class Seen(PlainDirectories):
        def power_off(self, vm: str, *, hard: bool) -> None:
            super().power_off(vm, hard=hard)
            came.set()

    with LocalCloud(scale=0.001, in_process=True) as cloud:
        cloud.azure.hardware = Seen(cloud.world.state_dir / "seen")
        vm = cloud.azure.vms.create("web")
        Arm(cloud.azure, SteppedClock()).send("POST", f"{vm.id}/powerOff")

        assert came.wait(60)


class _Crash(BaseException):
    """The end of the asking process."""


@pytest.mark.parametrize("stage", ["before", "after"])
def test_a_watcher_sees_every_call_and_may_end_its_caller(arm: Arm, vm: Vm, stage: str) -> None:
    seen = []

    def watch(when: str, action: str, resource: str) -> None:
        seen.append((when, action, resource))
        if when == stage:
            raise _Crash

    arm.azure.faults.watch(watch)
    with pytest.raises(_Crash):
        snapshot(arm, vm)
    arm.azure.faults.clear()

    assert (stage, WRITE_SNAPSHOT, arm.id("snapshots", "s")) in seen
    assert (arm.send("GET", arm.id("snapshots", "s")).status == 200) == (stage == "after")


def test_groups_may_come_back_in_capitals(arm: Arm, vm: Vm) -> None:
    arm.azure.choices.upper_case_groups = True

    shown = arm.get(vm.id)

    assert shown["id"] == vm.id.replace("/servers/", "/SERVERS/")
    assert "/resourceGroups/SERVERS/" in shown["properties"]["storageProfile"]["osDisk"]["managedDisk"]["id"]


# -- the log


def test_every_call_is_in_the_log_with_the_right_that_it_needs(arm: Arm, vm: Vm) -> None:
    position = len(arm.azure.calls)
    arm.send("GET", arm.id("disks", "missing"), headers={"x-ms-client-request-id": "mine"})
    arm.do("POST", f"{vm.id}/powerOff")

    calls = arm.azure.calls.since(position)
    assert (calls[0].action, calls[0].status, calls[0].error_code, calls[0].client_request_id) == (
        "Microsoft.Compute/disks/read", 404, "ResourceNotFound", "mine"
    )  # fmt: skip
    assert calls[1].action == "Microsoft.Compute/virtualMachines/powerOff/action"
    assert arm.azure.calls.actions(since=position) >= {
        "Microsoft.Compute/virtualMachines/powerOff/action", "Microsoft.Compute/locations/operations/read"
    }  # fmt: skip
    assert "Microsoft.Compute/disks/read" not in arm.azure.calls.actions(since=position)
