"""What speaks against touching a VM: each reason with its remedy."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorings.patching.model import Options, VmRef, vm_ref
from moorings.patching.observed import Disk, Lock, Node, Vm
from moorings.patching.refusals import (
    Objection,
    disk_objections,
    identity_objection,
    in_scope,
    node_objection,
    one_text,
    rights_objection,
    scope_objection,
    vm_objections,
)

NODE_ID = "mi-0123456789abcdef0"
GUID = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
REF = VmRef(subscription="s1", group="rg", name="web")


def node(**changes: Any) -> Node:
    known: dict[str, Any] = {
        "id": NODE_ID,
        "platform": "Linux",
        "online": True,
        "last_ping": datetime(2026, 11, 21, 12, tzinfo=UTC),
        "source_id": GUID,
        "source_type": "Microsoft.Compute/virtualMachines",
    }
    return Node(**(known | changes))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "knows no managed node"),
        (node(online=False), "offline, last heard of at 2026-11-21 12:00 UTC"),
        (node(online=False, last_ping=None), "is offline"),
        (node(platform="MacOS"), "runs MacOS"),
        (node(platform=""), "unknown system"),
        (node(source_type="AWS::EC2::Instance"), "is no Azure VM"),
    ],
)
def test_nodes_that_are_left_alone(found: Node | None, words: str) -> None:
    objection = node_objection(found, NODE_ID)

    assert objection is not None
    assert words in objection.reason
    assert objection.remedy


@pytest.mark.parametrize("found", [node(), node(platform="Windows"), node(source_type="", source_id="")])
def test_nodes_that_may_be_patched(found: Node) -> None:
    assert node_objection(found, NODE_ID) is None


@pytest.mark.parametrize(
    ("found", "subscription", "guid", "fine"),
    [
        (node(), "S1", GUID.upper(), True),
        (node(source_type="", source_id=""), "s1", GUID, True),
        (node(), "s2", GUID, False),
        (node(source_id="another"), "s1", GUID, False),
    ],
)
def test_proof_and_word_must_agree(found: Node, subscription: str, guid: str, fine: bool) -> None:
    objection = identity_objection(found, REF, subscription=subscription, guid=guid)

    assert (objection is None) is fine
    assert fine or "claims another VM" in objection.reason  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("scope", "inside"),
    [
        ("/subscriptions/s1", True),
        ("/subscriptions/S1/", True),
        ("/subscriptions/s1/resourceGroups/RG", True),
        (REF.id, True),
        ("/subscriptions/s1/resourceGroups/rg2", False),
        ("/subscriptions/s1/resourceGroups/r", False),
        ("/subscriptions/s", False),
        ("/subscriptions", False),
        ("/", False),
        ("", False),
    ],
)
def test_scopes_are_whole_segments(scope: str, inside: bool) -> None:
    assert in_scope(REF.id, scope) is inside
    assert (scope_objection(REF, ["/subscriptions/other", scope]) is None) is inside


@given(st.text(max_size=60), st.lists(st.text(max_size=40), max_size=3))
def test_no_scope_holds_what_does_not_begin_with_it(resource: str, scopes: list[str]) -> None:
    for scope in scopes:
        if in_scope(resource, scope):
            assert resource.strip("/").lower().startswith(scope.strip("/").lower())


@pytest.mark.parametrize(
    "text", ["", "/subscriptions/s/resourceGroups/g", REF.id + "/extensions/x", "web", "/x" + REF.id, REF.id[1:]]
)
def test_what_names_no_vm(text: str) -> None:
    assert vm_ref(text) is None


@pytest.mark.parametrize("text", [REF.id, REF.id.upper(), f" {REF.id}/ "])
def test_what_names_a_vm(text: str) -> None:
    found = vm_ref(text)

    assert found is not None
    assert found.key == REF.key


def vm(**changes: Any) -> Vm:
    os_disk: dict[str, Any] = {"osType": "Linux", "managedDisk": {"id": "/disks/os"}} | changes.pop("os_disk", {})
    properties: dict[str, Any] = {
        "vmId": GUID,
        "provisioningState": "Succeeded",
        "storageProfile": {"osDisk": os_disk},
        "instanceView": {"statuses": [{"code": "PowerState/running"}]},
    } | changes
    return Vm({"id": REF.id, "name": "web", "properties": properties})


def disk(**properties: Any) -> Disk:
    return Disk({"id": "/disks/os", "name": "os", "properties": properties})


def reasons(shown: Vm, *, disks: tuple[Disk | None, ...] = (disk(),), locks: tuple[Lock, ...] = ()) -> str:
    found = vm_objections(shown, GUID, disks, locks, Options())
    assert all(one.remedy for one in found)
    return one_text(found)[0]


def test_a_vm_without_anything_against_it() -> None:
    assert reasons(vm(vmId=GUID.upper())) == ""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"vmId": "another"}, "claims another VM"),
        ({"vmId": None}, "claims another VM"),
        ({"os_disk": {"diffDiskSettings": {"option": "Local"}}}, "ephemeral"),
        ({"os_disk": {"managedDisk": None, "vhd": {"uri": "https://"}}}, "no managed disk"),
        ({"instanceView": {"statuses": [{"code": "PowerState/deallocated"}]}}, "deallocated"),
        ({"instanceView": {}}, "unknown"),
        ({"instanceView": {"statuses": [{"code": "PowerState/hibernated"}]}}, "unknown"),
        ({"provisioningState": "Updating"}, "provisioning state is Updating"),
        ({"provisioningState": "Failed"}, "provisioning state is Failed"),
    ],
)
def test_vms_that_are_left_alone(changes: dict[str, Any], words: str) -> None:
    assert words in reasons(vm(**changes))


@pytest.mark.parametrize("level", ["CanNotDelete", "ReadOnly"])
def test_a_lock_is_named(level: str) -> None:
    lock = Lock(name="keep", level=level, scope="/subscriptions/s1/resourceGroups/rg")

    assert reasons(vm(), locks=(lock,)) == f"the {level} lock 'keep' at {lock.scope} covers it"


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "cannot be found"),
        (disk(maxShares=2), "shared"),
        (disk(securityProfile={"securityType": "ConfidentialVM_DiskEncryptedWithPlatformKey"}), "confidential"),
        (disk(encryptionSettingsCollection={"enabled": True}), "Azure Disk Encryption"),
    ],
)
def test_disks_that_cannot_be_put_back(found: Disk | None, words: str) -> None:
    objections = disk_objections(found)

    assert len(objections) == 1
    assert words in objections[0].reason
    assert words in reasons(vm(), disks=(found,))


@pytest.mark.parametrize(
    "found",
    [
        disk(),
        disk(maxShares=1, securityProfile={"securityType": "TrustedLaunch"}),
        disk(encryptionSettingsCollection={"enabled": False}),
        disk(securityProfile=None, encryptionSettingsCollection=None, maxShares=None),
    ],
)
def test_disks_that_can(found: Disk) -> None:
    assert disk_objections(found) == []


def test_a_scan_minds_only_the_identity() -> None:
    locked = (Lock(name="keep", level="ReadOnly", scope="/"),)
    scan = Options(operation="Scan")

    assert vm_objections(vm(provisioningState="Updating"), GUID, (), locked, scan) == []
    assert vm_objections(vm(vmId="another"), GUID, (), (), scan)


def test_every_missing_action_is_named() -> None:
    found = rights_objection(["Microsoft.Compute/snapshots/write", "Microsoft.Compute/disks/write"], "/rg")

    assert found is not None
    assert "Microsoft.Compute/snapshots/write, Microsoft.Compute/disks/write at /rg" in found.reason
    assert rights_objection([], "/rg") is None


def test_all_reasons_are_told_and_each_remedy_once() -> None:
    told = one_text([Objection("a", "do"), Objection("b", "do"), Objection("c", "look")])

    assert told == ("a; b; c", "do; look")
