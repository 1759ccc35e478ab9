"""What speaks against patching a VM, in the room's own words: each reason and remedy is made for a case of its kind."""

from collections.abc import Iterator

from docs.generator.patching import NOW, VM
from docs.generator.tables import table

from moorings.attestation.refusal import Reason
from moorings.patching import refusals
from moorings.patching.model import Options
from moorings.patching.observed import Disk, Lock, Node, Vm
from moorings.patching.refusals import Objection

NODE = "mi-0123456789abcdef0"
GUID, OTHER = "the VM's id", "another id"
ONLINE = Node(id=NODE, platform="Linux", online=True, last_ping=NOW)
OPTIONS = Options()


def objections() -> str:
    """Every objection that the room can make by itself, with what to do."""
    rows = [(found.reason, found.remedy) for found in _all() if found is not None]
    return table(("reason", "remedy"), rows)


def _all() -> Iterator[Objection | None]:
    yield refusals.node_objection(None, NODE)
    yield refusals.node_objection(Node(id=NODE, platform="Linux", online=False, last_ping=NOW), NODE)
    yield refusals.node_objection(Node(id=NODE, platform="MacOS", online=True, last_ping=NOW), NODE)
    ec2 = Node(id=NODE, platform="Linux", online=True, last_ping=NOW, source_id="i-0", source_type="AWS::EC2::Instance")
    yield refusals.node_objection(ec2, NODE)
    yield refusals.identity_objection(ONLINE, VM, subscription="another subscription", guid=GUID)
    yield refusals.scope_objection(VM, ())
    yield refusals.rights_objection(["Microsoft.Compute/snapshots/write"], VM.group_id)
    for vm, lock in ((_vm(guid=OTHER), False), (_vm(ephemeral=True), False), (_vm(managed=False), False)):
        yield from _of_vm(vm, lock=lock)
    yield from _of_vm(_vm(), lock=True)
    yield from _of_vm(_vm(power="deallocated"), lock=False)
    yield from _of_vm(_vm(state="Updating"), lock=False)
    yield from refusals.disk_objections(None)
    for properties in (
        {"maxShares": 2},
        {"securityProfile": {"securityType": "ConfidentialVM_DiskEncryptedWithPlatformKey"}},
        {"encryptionSettingsCollection": {"enabled": True}},
    ):
        yield from refusals.disk_objections(Disk({"name": "web-01-os", "properties": properties}))


def _of_vm(vm: Vm, *, lock: bool) -> list[Objection]:
    locks = [Lock(name="keep", level="ReadOnly", scope=VM.group_id)] if lock else []
    return refusals.vm_objections(vm, GUID, [], locks, OPTIONS)


def _vm(
    *,
    guid: str = GUID,
    power: str = "running",
    state: str = "Succeeded",
    ephemeral: bool = False,
    managed: bool = True,
) -> Vm:
    disk = {"name": "os", **({"managedDisk": {"id": "d"}} if managed else {})}
    storage = {"osDisk": {**disk, **({"diffDiskSettings": {"option": "Local"}} if ephemeral else {})}}
    view = {"statuses": [{"code": f"PowerState/{power}"}]}
    properties = {"vmId": guid, "provisioningState": state, "storageProfile": storage, "instanceView": view}
    return Vm({"id": VM.id, "name": VM.name, "properties": properties})


CAUSES: dict[Reason, str] = {
    Reason.NONCE: "it was made for another run: a node that replays an old document, or a cached answer",
    Reason.CHAIN: "the stack has no anchors for this authority, or old ones: update the anchors and deploy again",
    Reason.NAME: "somebody else's certificate, or a VM of another Azure cloud than the stack's",
    Reason.TOO_OLD: "the command was delivered very late, or clocks differ",
    Reason.IN_FUTURE: "the VM's host is ahead of us by more than a minute: clocks differ",
    Reason.EXPIRED: "as too long ago",
    Reason.NOT_BASE64: "the command's output was cut or changed: look at it in Run Command",
}
_FORGED = "no document of Azure looks like this: look into that node"


def attestation_refusals() -> str:
    """Why an attested document is refused, and what that usually means."""
    rest = "; ".join(each.value for each in Reason if each not in CAUSES)
    return table(("told", "usual cause"), [*((each.value, cause) for each, cause in CAUSES.items()), (rest, _FORGED)])
