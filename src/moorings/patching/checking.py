"""`check`: whether a run could work on a VM, with the credentials and rights that it would have; nothing is changed.

It looks at all that a run looks at before it touches anything, and further: at every right of the custom role, on the
resources that the VM leads to, because a right that is missing only while a VM is put back is found out too late.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from moorings.errors import Invalid, Misconfigured, Refused
from moorings.patching import refusals
from moorings.patching.describing import disks_to_snapshot
from moorings.patching.model import CredentialNames, Options, VmRef
from moorings.patching.observed import Disk, Vm, same_id
from moorings.patching.outside import Outside
from moorings.patching.ports import AzureRefused, Compute
from moorings.patching.refusals import Objection

# A document that is dated further ahead than a minute is refused, and so is a token that is not valid yet.
LARGEST_SKEW = timedelta(minutes=1)
_NO_DOCUMENT = "||"  # no verifier takes it for one
_ASSIGN = "assign the custom role of moorings to the application there (docs: azure-set-up)"


class State(Enum):
    """Whether a thing is as a run needs it."""

    OK = "ok"
    WRONG = "wrong"
    UNKNOWN = "unknown"  # nobody tells, and no run would ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. `action` and `scope` are set for a right that is missing."""

    subject: str
    state: State
    what: str
    remedy: str = ""
    action: str = ""
    scope: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckAsk:
    """What is to be checked. `node` may be empty; `data_disks`: as for a run with SnapshotDataDisks."""

    vm: VmRef
    node: str = ""
    data_disks: bool = False
    credentials: CredentialNames = field(default_factory=CredentialNames)


def check(ask: CheckAsk, outside: Outside) -> list[Finding]:
    """Everything that was looked at, in that order; what a person has to mend is a finding, never an error.

    CloudFault or Busy if a cloud did not answer.
    """
    found = [*_stack(ask, outside)]
    vm: Vm | None = None
    try:
        compute = outside.clouds.compute(ask.credentials, subscription=ask.vm.subscription)
        told = compute.time(ask.vm.subscription)
    except (Invalid, Misconfigured) as error:
        found.append(Finding(subject="credentials", state=State.WRONG, what=error.message, remedy=error.remedy))
    else:
        found += [_credentials(ask), _clock(told, outside)]
        vm, disks = _seen(compute, ask)
        found += [*_rights(compute, ask, vm, disks), *_vm(compute, ask, vm, disks)]
    if ask.node:
        found += _node(ask, outside, vm)
    return found


def _stack(ask: CheckAsk, outside: Outside) -> Iterator[Finding]:
    """What the stack says, before Azure is asked."""
    objection = refusals.scope_objection(ask.vm, outside.scopes)
    yield _judged("scope", objection, f"{ask.vm.id} lies in the scopes of this stack")
    try:
        outside.documents.verify(_NO_DOCUMENT, nonce="0", now=outside.clock.now())
    except Misconfigured as error:
        yield Finding(subject="anchors", state=State.WRONG, what=error.message, remedy=error.remedy)
    except Refused:
        yield Finding(subject="anchors", state=State.OK, what="trust anchors for attested documents are bundled")
    guard = outside.guards.of(ask.vm)
    busy = guard is not None and bool(guard.owner) and guard.until > outside.clock.now()
    owner = guard.owner if guard is not None else ""
    yield _judged(
        "run",
        Objection(f"a run works on this VM: {owner}", f"wait for it: moorings patch status {owner}") if busy else None,
        "no other run works on this VM",
    )


def _credentials(ask: CheckAsk) -> Finding:
    how = f"from the parameters {ask.credentials.secret} and two more" if ask.credentials.secret else "by federation"
    return Finding(subject="credentials", state=State.OK, what=f"Azure takes the application's credentials, {how}")


def _clock(told: datetime | None, outside: Outside) -> Finding:
    if told is None:
        return Finding(subject="clock", state=State.UNKNOWN, what="Azure told no time")
    skew = abs(outside.clock.now() - told)
    far = Objection(
        f"the function's clock and Azure's are {skew.total_seconds():.0f} s apart",
        "find out which is wrong: tokens and attested documents are dated",
    )
    return _judged("clock", far if skew > LARGEST_SKEW else None, "the function's clock is Azure's")


def _seen(compute: Compute, ask: CheckAsk) -> tuple[Vm | None, list[Disk | None]]:
    """The VM and its disks as far as the identity may see them."""
    try:
        vm = compute.vm(ask.vm)
        if vm is None:
            return None, []
        return vm, disks_to_snapshot(compute, vm, _options(ask))
    except AzureRefused:
        return None, []  # the rights tell which one is missing


def _rights(compute: Compute, ask: CheckAsk, vm: Vm | None, disks: Iterable[Disk | None]) -> Iterator[Finding]:
    """Every action that is missing, by name and place."""
    needed = rights_needed(ask.vm, vm, [disk for disk in disks if disk is not None])
    lacking = 0
    for scope, actions in needed.items():
        try:
            missing = compute.missing_actions(scope, actions)
        except AzureRefused as refused:
            lacking += 1
            yield Finding(
                subject="rights", state=State.WRONG, what=f"the rights at {scope} cannot be seen: {refused}",
                remedy=_ASSIGN, scope=scope,
            )  # fmt: skip
            continue
        for action in missing:
            lacking += 1
            yield Finding(
                subject="rights", state=State.WRONG, what=f"{action} is missing at {scope}: {PURPOSES[action]}",
                remedy=_ASSIGN, action=action, scope=scope,
            )  # fmt: skip
    if not lacking:
        count = len({action for actions in needed.values() for action in actions})
        yield Finding(subject="rights", state=State.OK, what=f"all {count} actions that a run may need are allowed")


def _vm(compute: Compute, ask: CheckAsk, vm: Vm | None, disks: list[Disk | None]) -> Iterator[Finding]:
    if vm is None:
        yield Finding(
            subject="vm", state=State.WRONG, what=f"Azure shows no VM {ask.vm.id}",
            remedy="check the id: az vm show --ids ID",
        )  # fmt: skip
        return
    try:
        locks = refusals.lock_objections(compute.locks(ask.vm))
    except AzureRefused as refused:
        yield Finding(subject="locks", state=State.WRONG, what=f"locks cannot be seen: {refused}", remedy=_ASSIGN)
    else:
        yield from _all_judged("locks", locks, "no lock covers the VM")
    # Nothing is proved here, so the VM's own word for its identity is taken: a run asks for the proof.
    found = refusals.vm_objections(vm, vm.vm_id, disks, (), _options(ask))
    yield from _all_judged("vm", found, f"{vm.name} can be patched and put back")


def _node(ask: CheckAsk, outside: Outside, vm: Vm | None) -> Iterator[Finding]:
    node = outside.nodes.node(ask.node)
    objection = refusals.node_objection(node, ask.node)
    if objection is None and node and vm and node.source_type and node.source_id.lower() != vm.vm_id.lower():
        objection = Objection(
            f"node {ask.node} registered as VM {node.source_id}, this VM is {vm.vm_id}",
            "name the VM's own node: moorings nodes list",
        )
    yield _judged("node", objection, f"node {ask.node} is online")


# -- rights

_DISKS_OF_SOURCE = tuple(action for action in refusals.DISK_ACTIONS if "/disks/" in action)
MONITOR = "Microsoft.Compute/locations/operations/read"  # disks and snapshots tell themselves how far they are
AUTHORIZATION_ACTIONS = ("Microsoft.Authorization/locks/read", "Microsoft.Authorization/permissions/read")
JOIN = "Microsoft.Network/networkInterfaces/join/action"
ASSIGN = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"
ENCRYPTION_SET, DISK_ACCESS = "Microsoft.Compute/diskEncryptionSets/read", "Microsoft.Compute/diskAccesses/read"

# Every action of the custom role, and what a run does by it.
PURPOSES: Mapping[str, str] = {
    "Microsoft.Compute/virtualMachines/read": "look at the VM, and compare its id with the one that it proved",
    "Microsoft.Compute/virtualMachines/instanceView/read": "see whether it runs",
    "Microsoft.Compute/virtualMachines/write": "put the restored disk in the place of the bad one",
    "Microsoft.Compute/virtualMachines/powerOff/action": "stop it before its disk is exchanged",
    "Microsoft.Compute/virtualMachines/deallocate/action": "the same where Azure refuses it for a VM that is only off",
    "Microsoft.Compute/virtualMachines/start/action": "start it again",
    "Microsoft.Compute/disks/read": "look at its disks",
    "Microsoft.Compute/disks/write": "make a disk from a snapshot, tag the bad one with its expiry",
    "Microsoft.Compute/disks/delete": "delete a bad disk that has expired",
    "Microsoft.Compute/disks/beginGetAccess/action": "take a snapshot of a disk: Azure asks for it on the source",
    "Microsoft.Compute/snapshots/read": "see whether the checkpoint is usable",
    "Microsoft.Compute/snapshots/write": "take the checkpoint",
    "Microsoft.Compute/snapshots/delete": "delete it",
    "Microsoft.Compute/snapshots/beginGetAccess/action": "make a disk from it: Azure asks for it on the source",
    MONITOR: "follow what it began on the VM",
    AUTHORIZATION_ACTIONS[0]: "see locks before they are in the way",
    AUTHORIZATION_ACTIONS[1]: "see these rights before anything is touched",
    JOIN: "write the VM: Azure asks for it on each network interface",
    ASSIGN: "write a VM that has user-assigned identities: Azure asks for it on each",
    ENCRYPTION_SET: "make a disk under the same encryption set",
    DISK_ACCESS: "make a disk with the same private access",
}


def rights_needed(ref: VmRef, vm: Vm | None, disks: Iterable[Disk]) -> dict[str, tuple[str, ...]]:
    """Scope → actions that a run may need there. Of a VM that cannot be seen, what every VM needs."""
    needed: dict[str, tuple[str, ...]] = {
        ref.id: (*AUTHORIZATION_ACTIONS, *refusals.VM_ACTIONS),
        ref.group_id: (*refusals.DISK_ACTIONS, MONITOR),
    }
    for disk in disks:
        # The checkpoint lies beside the VM, the disk may lie elsewhere.
        if not same_id(_group_of(disk.id), ref.group_id):
            needed[disk.id] = _DISKS_OF_SOURCE
        if encryption := (disk.properties.get("encryption") or {}).get("diskEncryptionSetId"):
            needed[str(encryption)] = (ENCRYPTION_SET,)
        if access := disk.properties.get("diskAccessId"):
            needed[str(access)] = (DISK_ACCESS,)
    if vm is not None:
        network = vm.properties.get("networkProfile") or {}
        needed |= {str(each["id"]): (JOIN,) for each in network.get("networkInterfaces") or () if each.get("id")}
        identities = (vm.wire.get("identity") or {}).get("userAssignedIdentities") or {}
        needed |= {str(each): (ASSIGN,) for each in identities}
    return needed


def _group_of(resource_id: str) -> str:
    return "/".join(resource_id.strip("/").split("/")[:4])


def _options(ask: CheckAsk) -> Options:
    return Options(snapshot_data_disks=ask.data_disks)


def _judged(subject: str, objection: Objection | None, well: str) -> Finding:
    if objection is None:
        return Finding(subject=subject, state=State.OK, what=well)
    return Finding(subject=subject, state=State.WRONG, what=objection.reason, remedy=objection.remedy)


def _all_judged(subject: str, objections: Iterable[Objection], well: str) -> list[Finding]:
    return [_judged(subject, each, "") for each in objections] or [_judged(subject, None, well)]
