"""The local Azure takes what the SDK really sends, and answers as the published description says."""

import json
import re
from typing import Any

import pytest
from tests.localcloud.azure import official
from tests.localcloud.azure.ground import Answer, Arm

from localcloud.azure.ids import ComputeId

NEW_TYPES = {"disks": "Disk", "snapshots": "Snapshot", "virtualMachines": "VirtualMachine"}
READS = (
    "Disks_Get", "Disks_List", "Disks_ListByResourceGroup",
    "Snapshots_Get", "Snapshots_List", "Snapshots_ListByResourceGroup",
    "VirtualMachines_Get", "VirtualMachines_InstanceView", "VirtualMachines_List", "VirtualMachines_ListAll",
    "VirtualMachines_ListByLocation",
)  # fmt: skip
WRITES = (
    "Disks_CreateOrUpdate", "Disks_Update", "Disks_Delete",
    "Snapshots_CreateOrUpdate", "Snapshots_Update", "Snapshots_Delete",
    "VirtualMachines_CreateOrUpdate", "VirtualMachines_Update", "VirtualMachines_Delete", "VirtualMachines_Deallocate",
    "VirtualMachines_PowerOff", "VirtualMachines_Start", "VirtualMachines_Restart", "VirtualMachines_Redeploy",
    "VirtualMachines_Reapply", "VirtualMachines_AttachDetachDataDisks",
)  # fmt: skip
FROM_RESTORE_POINTS = {"VirtualMachine_Create_WithDataDisksFromSourceResource"}
_SUBSCRIPTION = re.compile(r"(?i)(subscriptions/)[^/]+")
_CREATIONS = {"Disks_CreateOrUpdate", "Snapshots_CreateOrUpdate", "VirtualMachines_CreateOrUpdate"}
_DISK = re.compile(
    r"(?i)^/?subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft.Compute/(disks|snapshots)/[^/]+$"
)

pytestmark = pytest.mark.skipif(not official.DATA.exists(), reason="the published data of Azure is not there")


def send(arm: Arm, request: official.Recorded) -> Answer:
    """Send a recorded request into a subscription that has what it refers to."""
    path, body = _plain(arm, request.path), _plain(arm, request.body)
    _seed(arm, request, path, body)
    query = "&".join(f"{name}={value}" for name, value in request.query.items())
    return arm.send(request.method, f"{path}?{query}", body)


@pytest.mark.parametrize(
    "request_",
    [each for each in official.recorded(*official.all_operations()) if each.operation_id not in READS + WRITES]
    + [each for each in official.recorded(*WRITES) if str(each) in FROM_RESTORE_POINTS],
    ids=str,
)
def test_everything_else_is_refused_by_name(arm: Arm, request_: official.Recorded) -> None:
    path, body = _plain(arm, request_.path), _plain(arm, request_.body)
    _seed(arm, request_, path, body if request_.operation_id in WRITES else None)

    answer = arm.send(request_.method, path, body)

    assert (answer.status, answer.code) == (501, "NotSupportedByLocalCloud")


@pytest.mark.parametrize("request_", official.recorded(*READS), ids=str)
def test_reads_answer_as_described(arm: Arm, request_: official.Recorded) -> None:
    answer = send(arm, request_)

    assert answer.status in official.statuses(request_.operation_id)
    assert not list(official.problems(request_.operation_id, answer.status, answer.body))


@pytest.mark.parametrize(
    "request_", [each for each in official.recorded(*WRITES) if str(each) not in FROM_RESTORE_POINTS], ids=str
)
def test_writes_are_accepted_and_answered_as_described(arm: Arm, request_: official.Recorded) -> None:
    first = send(arm, request_)

    assert first.status in official.statuses(request_.operation_id), first
    assert not list(official.problems(request_.operation_id, first.status, first.body))
    assert arm.wait(first)["status"] == "Succeeded"
    if request_.method in {"PUT", "PATCH"}:
        path = _plain(arm, request_.path)
        after = arm.get(path)
        assert after["properties"]["provisioningState"] == "Succeeded"
        assert not list(official.problems(request_.operation_id, 200, after))
        assert not list(official.type_problems(NEW_TYPES[path.split("/")[-2]], after))


def _plain(arm: Arm, value: Any) -> Any:
    """With our subscription, and without the braces in which the examples write their names."""
    if isinstance(value, str):
        text = _SUBSCRIPTION.sub(rf"\g<1>{arm.azure.subscription_id}", value)
        return re.sub(r"%7B|%7D|[{}]", "", text) if "/" in text else text
    if isinstance(value, dict):
        return {_plain(arm, name): _plain(arm, each) for name, each in value.items()}
    return [_plain(arm, each) for each in value] if isinstance(value, list) else value


def _seed(arm: Arm, request: official.Recorded, path: str, body: Any) -> None:
    parts = path.strip("/").split("/")
    location = str((body or {}).get("location", "West US"))
    if len(parts) > 3 and parts[2].lower() == "resourcegroups":
        arm.azure.resource_group(parts[3], location=location)
    for found in sorted(_ids(body)):
        _make_disk(arm, found, location)
    if len(parts) >= 8 and request.operation_id in set(READS + WRITES) - _CREATIONS:
        _make(arm, "/".join(parts[:8]), request, body)


def _ids(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set().union(*map(_ids, value.values())) if value else set()
    if isinstance(value, list):
        return set().union(*map(_ids, value)) if value else set()
    return {value} if isinstance(value, str) and _DISK.match(value) else set()


def _make_disk(arm: Arm, disk_id: str, location: str) -> None:
    wanted = ComputeId.parse(disk_id)
    assert wanted is not None
    arm.azure.resource_group(wanted.group, location=location)
    document: dict[str, Any] = {
        "location": location,
        "properties": {"diskSizeGB": 4, "creationData": {"createOption": "Empty"}},
    }
    if wanted.kind == "snapshots":
        document["properties"]["incremental"] = True
        document["properties"]["creationData"] = {
            "createOption": "Import",
            "sourceUri": "https://example.invalid/a.vhd",
        }
    arm.do("PUT", disk_id, document)


def _make(arm: Arm, path: str, request: official.Recorded, body: Any) -> None:
    found = ComputeId.parse(path)
    assert found is not None
    if found.kind != "virtualMachines":
        _make_disk(arm, path, "West US")
        return
    given = json.loads(json.dumps(body or {}))
    properties: dict[str, Any] = given.get("properties") or {
        "storageProfile": {"osDisk": {"createOption": "FromImage"}}
    }
    entries = properties["storageProfile"].setdefault("dataDisks", [])
    for entry in entries:
        entry.pop("toBeDetached", None)
        entry.pop("detachOption", None)
    for lun, going in enumerate((body or {}).get("dataDisksToDetach") or [], start=10):
        entries.append({"lun": lun, "createOption": "Attach", "managedDisk": {"id": going["diskId"]}})
    properties["additionalCapabilities"] = {"hibernationEnabled": True}
    arm.do("PUT", path, {"location": "West US", "properties": properties})
