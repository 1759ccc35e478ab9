"""`check`: everything that would be in a run's way is found before, named, and nothing is changed."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from tests.patching.nodefake import NODE
from tests.patching.stage import LONGEST_CALL, Stage

from moorings.errors import CloudFault, Invalid
from moorings.patching import checking
from moorings.patching.model import vm_ref
from moorings.patching.observed import Disk, Lock, Vm
from moorings.patching.outside import Deadline
from moorings.patching.ports import AzureRefused

NETWORK = "/subscriptions/s/resourceGroups/net/providers/Microsoft.Network/networkInterfaces/nic-1"
IDENTITY = "/subscriptions/s/resourceGroups/ids/providers/Microsoft.ManagedIdentity/userAssignedIdentities/web"
KEYS = "/subscriptions/s/resourceGroups/keys/providers/Microsoft.Compute/diskEncryptionSets/des"
ACCESS = "/subscriptions/s/resourceGroups/keys/providers/Microsoft.Compute/diskAccesses/private"


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage(data=(0,))
    yield made
    made.close()


def check(stage: Stage, **event: Any) -> dict[str, Any]:
    """The function's answer."""
    asked = {"call": "check", "vm": stage.vm.id, "node": NODE, **event}
    return stage.patching.answer(asked, Deadline(stage.outside.clock, LONGEST_CALL))


def wrong(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["subject"], each["what"]) for each in answer["Findings"] if each["state"] != "ok"]


def test_a_good_vm_is_found_good_and_nothing_is_changed(stage: Stage) -> None:
    answer = check(stage)

    assert answer["Well"], wrong(answer)
    assert [each["subject"] for each in answer["Findings"]] == [
        "scope", "anchors", "run", "credentials", "clock", "rights", "locks", "vm", "node",
    ]  # fmt: skip
    assert {action for action, _ in stage.azure.calls} <= {
        "virtualMachines/read", "disks/read", "locks/read", "permissions/read",
    }  # fmt: skip
    assert not stage.table.guards
    assert not stage.table.bodies


def test_each_missing_action_is_named_with_its_purpose(stage: Stage) -> None:
    stage.azure.missing += ["Microsoft.Compute/snapshots/write", "Microsoft.Compute/virtualMachines/start/action"]

    found = [each for each in check(stage)["Findings"] if each["subject"] == "rights"]

    assert {each["action"] for each in found} == set(stage.azure.missing)
    assert all(each["state"] == "wrong" and checking.PURPOSES[each["action"]] in each["what"] for each in found)


def test_rights_that_cannot_be_seen_are_not_taken_for_given(stage: Stage) -> None:
    stage.azure.refusing["permissions/read"] = [AzureRefused(status=403, code="AuthorizationFailed", message="no")]

    answer = check(stage)

    assert [each["state"] for each in answer["Findings"] if each["subject"] == "rights"] == ["wrong"]
    assert not answer["Well"]


@pytest.mark.parametrize(
    ("subject", "told", "spoil"),
    [
        ("scope", "lies outside the scopes", lambda stage: {"vm": stage.vm.id.replace("rg-web", "rg-other")}),
        ("vm", "Azure shows no VM", lambda stage: {"vm": stage.vm.id + "-gone"}),
        ("node", "knows no managed node", lambda stage: {"node": "mi-0123456789abcdef9"}),
        ("locks", "ReadOnly lock 'keep'", lambda stage: stage.azure.lock_list.append(_lock(stage))),
        ("credentials", "AADSTS", lambda stage: setattr(stage.azure, "unauthenticated", "AADSTS7000215: no")),
        ("clock", "120 s apart", lambda stage: setattr(stage.azure, "behind", timedelta(minutes=2))),
        ("vm", "the VM is deallocated", lambda stage: setattr(stage.azure.vms[stage.vm.key], "power", "deallocated")),
    ],
    ids=["scope", "no VM", "no node", "lock", "credentials", "clock", "off"],
)
def test_what_is_in_the_way_is_named(stage: Stage, subject: str, told: str, spoil: Any) -> None:
    event = spoil(stage) or {}

    answer = check(stage, **event)

    assert not answer["Well"]
    assert [what for kind, what in wrong(answer) if kind == subject and told in what]


def _lock(stage: Stage) -> Lock:
    return Lock(name="keep", level="ReadOnly", scope=stage.vm.group_id)


def test_a_run_that_works_on_the_vm_is_named(stage: Stage) -> None:
    execution = stage.start()
    stage.finish(execution, until=lambda: bool(stage.azure.snapshots))

    assert ("run", f"a run works on this VM: {execution}") in wrong(check(stage))


def test_data_disks_are_looked_at_if_a_run_would_take_snapshots_of_them(stage: Stage) -> None:
    data = next(disk for name, disk in stage.azure.disks.items() if "data0" in name)
    data["properties"]["maxShares"] = 2

    assert check(stage)["Well"]
    assert "is shared between VMs" in wrong(check(stage, snapshotDataDisks=True))[0][1]


def test_rights_are_asked_for_where_azure_will_ask() -> None:
    """Linked rights count on the resources named; a disk may lie in another group than its VM."""
    ref = _ref("rg-web")
    vm = Vm(
        {
            "id": ref.id,
            "identity": {"userAssignedIdentities": {IDENTITY: {}}},
            "properties": {"networkProfile": {"networkInterfaces": [{"id": NETWORK}]}},
        }
    )
    here, there = ref.child("disks", "os"), _ref("rg-disks").child("disks", "data")
    disks = [
        Disk({"id": here.replace("resourceGroups", "resourcegroups"), "properties": {"diskAccessId": ACCESS}}),
        Disk({"id": there, "properties": {"encryption": {"diskEncryptionSetId": KEYS}}}),
    ]

    needed = checking.rights_needed(ref, vm, disks)

    assert set(needed) == {ref.id, ref.group_id, there, NETWORK, IDENTITY, KEYS, ACCESS}
    assert {action for actions in needed.values() for action in actions} == set(checking.PURPOSES)
    assert set(needed[there]) == {each for each in checking.PURPOSES if each.startswith("Microsoft.Compute/disks/")}


def _ref(group: str) -> Any:
    made = vm_ref(f"/subscriptions/s/resourceGroups/{group}/providers/Microsoft.Compute/virtualMachines/web")
    assert made is not None
    return made


@pytest.mark.parametrize("vm", ["", "web-1", "/subscriptions/s/resourceGroups/g", None])
def test_what_names_no_vm_is_refused(stage: Stage, vm: Any) -> None:
    with pytest.raises(Invalid):
        check(stage, vm=vm)


def test_a_cloud_that_does_not_answer_is_no_finding(stage: Stage) -> None:
    stage.azure.refusing["virtualMachines/read"] = [CloudFault("no answer", call="read")]

    with pytest.raises(CloudFault):
        check(stage)
