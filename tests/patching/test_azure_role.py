"""The custom role holds what the code calls, and the rights that Azure links to it: no more, no less."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import moorings.patching
from localcloud.azure.service import Azure as LocalAzure
from localcloud.azure.vms import Vm as LocalVm
from localcloud.cloud import LocalCloud
from moorings.clouds.azure import Azure, Place, Secret
from moorings.patching import checking, refusals
from moorings.patching.azure import ArmCompute
from moorings.patching.model import VmRef, vm_ref
from moorings.patching.observed import OperationState, Resource, Vm
from moorings.patching.ports import AzureRefused

ROOM = Path(moorings.patching.__file__).parent
ROLE: dict[str, Any] = json.loads((ROOM / "azure-role.json").read_text(encoding="utf-8"))
LINKED = {
    "Microsoft.Compute/disks/beginGetAccess/action",
    "Microsoft.Compute/snapshots/beginGetAccess/action",
    checking.JOIN,
    checking.ASSIGN,
    checking.ENCRYPTION_SET,
    checking.DISK_ACCESS,
}
# Azure asks for it where a VM is read with its instance view, which the local Azure takes as part of reading the VM.
IMPLIED = {"Microsoft.Compute/virtualMachines/instanceView/read"}


def test_the_role_holds_exactly_what_is_checked_for() -> None:
    assert set(ROLE["Actions"]) == set(checking.PURPOSES)
    assert ROLE["Actions"] == sorted(ROLE["Actions"], key=str.lower)
    assert set(refusals.VM_ACTIONS + refusals.DISK_ACTIONS) <= set(checking.PURPOSES)


def test_the_manual_tells_what_each_right_is_for() -> None:
    page = (Path(__file__).parents[2] / "docs" / "azure-set-up.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(Microsoft\.[^`]+)` \|[^|]+\| ([^|]+) \|$", page, re.MULTILINE)

    assert dict(rows) == dict(checking.PURPOSES)
    assert len(rows) == len(checking.PURPOSES)


def test_every_action_that_the_adapter_names_is_in_the_role() -> None:
    text = (ROOM / "azure.py").read_text(encoding="utf-8")
    named = set(re.findall(r'"(Microsoft\.\w+/[\w/]+/(?:read|write|delete|action))"', text))

    assert named
    assert named <= set(ROLE["Actions"])


@pytest.fixture
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(scale=0.001) as running:
        yield running


class Ground:
    """A VM in the local Azure, and an application that has the custom role in its group and nowhere else."""

    def __init__(self, cloud: LocalCloud, *, without: str = "") -> None:
        self.azure = cloud.world.part(LocalAzure)
        self.machine: LocalVm = self.azure.vms.create("web-01")
        found = vm_ref(self.machine.id)
        assert found is not None
        self.ref: VmRef = found
        application = self.azure.entra.application("patching")
        actions = [action for action in ROLE["Actions"] if action != without]
        role = {**ROLE, "Actions": actions, "AssignableScopes": [self.ref.group_id]}
        self.azure.rbac.assign(principal=application.object_id, role=role, scope=self.ref.group_id)
        self.opened = Azure(
            proof=Secret(
                tenant_id=self.azure.tenant_id, client_id=application.client_id, secret=application.add_secret()
            ),
            place=Place(arm_url=self.azure.arm_url, authority_url=self.azure.authority_url, tls_bundle=cloud.ca_file),
            remaining=lambda: timedelta(hours=1),
        )
        self.compute = ArmCompute(
            self.opened.client(self.ref.subscription), arm=self.opened.arm, unauthenticated=lambda: None
        )

    def done(self, monitor: str) -> None:
        """Follow an operation on the VM to its end, as runs do; disks and snapshots tell their state themselves."""
        for _ in range(2_000):
            if not monitor or self.compute.operation(monitor).state is not OperationState.RUNNING:
                return
        raise AssertionError("it does not end")

    def settled(self, *looks: Callable[[], Resource | None]) -> None:
        """Wait until nothing is under way on these."""
        for look in looks:
            found = (look() for _ in range(2_000))
            assert next(each for each in found if each is None or each.provisioning == "Succeeded") is not None

    def vm(self) -> Vm:
        found = self.compute.vm(self.ref)
        assert found is not None
        return found

    def every_call(self) -> None:
        """All that the adapter can do, in the order of a run that puts the VM back."""
        compute, ref = self.compute, self.ref
        compute.locks(ref)
        assert compute.time(ref.subscription) is not None
        assert compute.missing_actions(ref.id, refusals.VM_ACTIONS) == []
        disk = compute.disk(self.vm().os_disk.disk_id)
        assert disk is not None
        snapshot, made = ref.child("snapshots", "mo-1"), ref.child("disks", "mo-1")
        body = {"location": disk.location, "tags": {}}
        copied = {"creationData": {"createOption": "Copy", "sourceResourceId": disk.id}, "incremental": True}
        compute.put_snapshot(snapshot, {**body, "properties": copied})
        self.settled(lambda: compute.snapshot(snapshot))
        properties = {
            "creationData": {"createOption": "Copy", "sourceResourceId": snapshot},
            **{key: disk.properties[key] for key in ("osType", "hyperVGeneration") if key in disk.properties},
        }
        compute.put_disk(
            made, {**body, "sku": disk.wire["sku"], "zones": disk.wire.get("zones"), "properties": properties}
        )
        self.settled(lambda: compute.disk(made))
        self.done(compute.power_off(ref, hard=True))
        self.done(compute.deallocate(ref))
        for whole, disk_id in ((True, made), (False, disk.id)):
            vm = self.vm()
            entry = {**vm.os_disk.wire, "name": disk_id.rpartition("/")[2], "managedDisk": {"id": disk_id}}
            self.done(compute.write_storage(vm, {**vm.storage, "osDisk": entry}, whole=whole))
        self.done(compute.start(ref))
        compute.tag(made, {"moorings-role": "checkpoint"})
        compute.tag(snapshot, {"moorings-role": "checkpoint"})
        self.settled(lambda: compute.disk(made), lambda: compute.snapshot(snapshot))
        compute.delete(made)
        compute.delete(snapshot)


def test_a_whole_run_needs_the_role_and_nothing_of_it_is_idle(cloud: LocalCloud) -> None:
    ground = Ground(cloud)
    before = len(ground.azure.calls)

    ground.every_call()

    calls = ground.azure.calls.since(before)
    assert not [call for call in calls if call.error_code == "AuthorizationFailed" and "permissions" not in call.action]
    assert ground.azure.calls.actions(since=before) == set(ROLE["Actions"]) - LINKED - IMPLIED
    ground.opened.close()


@pytest.mark.parametrize(
    "action", sorted(action for action in LINKED if "beginGetAccess" in action or "join" in action)
)
def test_without_a_linked_right_azure_refuses(cloud: LocalCloud, action: str) -> None:
    ground = Ground(cloud, without=action)

    with pytest.raises(AzureRefused, match=re.escape(action)):
        ground.every_call()

    ground.opened.close()


@pytest.mark.parametrize("action", sorted(set(checking.PURPOSES) - LINKED))
def test_a_missing_right_is_named_beforehand(cloud: LocalCloud, action: str) -> None:
    ground = Ground(cloud, without=action)
    scope = ground.ref.id if action in refusals.VM_ACTIONS + checking.AUTHORIZATION_ACTIONS else ground.ref.group_id

    if action == "Microsoft.Authorization/permissions/read":
        with pytest.raises(AzureRefused, match="permissions/read"):
            ground.compute.missing_actions(scope, [action])
    else:
        assert ground.compute.missing_actions(scope, checking.PURPOSES) == [action]
    ground.opened.close()
