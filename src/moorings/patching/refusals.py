"""What is recognised before anything is touched: reasons, each with its remedy. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from moorings.patching.model import Options, VmRef
from moorings.patching.observed import Disk, Lock, Node, Power, Vm

AZURE_SOURCE = "Microsoft.Compute/virtualMachines"


@dataclass(frozen=True, slots=True)
class Objection:
    """Why this VM is left alone, and what to do about it."""

    reason: str
    remedy: str


# What the custom role must allow, by the scope at which it is asked. Azure checks the linked rights (beginGetAccess on
# the source of a copy, join on network interfaces) on the resources named in the request.
VM_ACTIONS = (
    "Microsoft.Compute/virtualMachines/read",
    "Microsoft.Compute/virtualMachines/instanceView/read",
    "Microsoft.Compute/virtualMachines/write",
    "Microsoft.Compute/virtualMachines/powerOff/action",
    "Microsoft.Compute/virtualMachines/deallocate/action",
    "Microsoft.Compute/virtualMachines/start/action",
)
DISK_ACTIONS = (
    "Microsoft.Compute/disks/read",
    "Microsoft.Compute/disks/write",
    "Microsoft.Compute/disks/delete",
    "Microsoft.Compute/disks/beginGetAccess/action",
    "Microsoft.Compute/snapshots/read",
    "Microsoft.Compute/snapshots/write",
    "Microsoft.Compute/snapshots/delete",
    "Microsoft.Compute/snapshots/beginGetAccess/action",
)
UNSUPPORTED_SECURITY = ("ConfidentialVM",)


def node_objection(node: Node | None, node_id: str) -> Objection | None:
    """Against patching this node at all."""
    if node is None:
        return Objection(
            f"Systems Manager knows no managed node {node_id}", "check the id: moorings nodes list shows all of them"
        )
    if not node.online:
        seen = f", last heard of at {node.last_ping:%Y-%m-%d %H:%M} UTC" if node.last_ping else ""
        return Objection(f"node {node_id} is offline{seen}", "start the VM or its SSM agent, then run again")
    if node.platform not in {"Linux", "Windows"}:
        return Objection(
            f"node {node_id} runs {node.platform or 'an unknown system'}", "only Linux and Windows are patched"
        )
    if node.source_type and node.source_type.lower() != AZURE_SOURCE.lower():
        return Objection(
            f"node {node_id} is no Azure VM: it registered as {node.source_type}", "patch it by its own cloud's runbook"
        )
    return None


def identity_objection(node: Node, vm: VmRef, *, subscription: str, guid: str) -> Objection | None:
    """Against a node whose proof and whose words differ. `subscription` and `guid` are proved, `vm` is its word."""
    if vm.subscription.lower() != subscription.lower():
        return _other(f"its attested document is of subscription {subscription}, it names a VM in {vm.subscription}")
    if node.source_type and node.source_id.lower() != guid.lower():
        return _other(f"it registered as VM {node.source_id}, its attested document is of VM {guid}")
    return None


def scope_objection(vm: VmRef, scopes: Sequence[str]) -> Objection | None:
    """Against a VM outside the stack's AllowedScopes."""
    if any(in_scope(vm.id, scope) for scope in scopes):
        return None
    return Objection(
        f"the VM {vm.id} lies outside the scopes that this stack may touch",
        "add its subscription or resource group to the stack's parameter AllowedScopes",
    )


def in_scope(resource_id: str, scope: str) -> bool:
    """Whether an ARM id lies in a scope: whole segments, any letter case."""
    inner, outer = resource_id.strip("/").lower().split("/"), scope.strip("/").lower().split("/")
    return len(outer) >= 2 and inner[: len(outer)] == outer


def vm_objections(
    vm: Vm, guid: str, disks: Sequence[Disk | None], locks: Iterable[Lock], options: Options
) -> list[Objection]:
    """Against this VM as it is now."""
    found: list[Objection] = []
    if vm.vm_id.lower() != guid.lower():
        return [_other(f"the VM {vm.name} in Azure is {vm.vm_id or 'unknown'}, the node proved that it is {guid}")]
    if options.operation == "Scan":
        return found
    if vm.ephemeral:
        found.append(
            Objection(
                "its OS disk is ephemeral: it cannot be snapshotted", "use a managed OS disk, or replace the VM instead"
            )
        )
    elif not vm.os_disk.disk_id:
        found.append(Objection("its OS disk is no managed disk", "migrate the VM to managed disks"))
    found += lock_objections(locks)
    if vm.power is not Power.RUNNING:
        found.append(Objection(f"Azure says that the VM is {vm.power.value}", "start the VM, then run again"))
    if vm.provisioning.lower() != "succeeded":
        found.append(
            Objection(
                f"the VM's provisioning state is {vm.provisioning}",
                "wait for the change under way, or repair it: az vm reapply",
            )
        )
    for disk in disks:
        found += disk_objections(disk)
    return found


def lock_objections(locks: Iterable[Lock]) -> list[Objection]:
    """Against a VM that is locked, whatever the lock forbids: it would be in the way of putting the VM back."""
    return [
        Objection(
            f"the {lock.level} lock {lock.name!r} at {lock.scope} covers it", "remove the lock while it is patched"
        )
        for lock in locks
    ]


def disk_objections(disk: Disk | None) -> list[Objection]:
    """Against a disk that is to be snapshotted and replaced."""
    if disk is None:
        return [Objection("one of its disks cannot be found in Azure", "look at the VM's disks in the portal")]
    found = []
    properties = disk.properties
    if int(properties.get("maxShares") or 1) > 1:
        found.append(
            Objection(f"disk {disk.name} is shared between VMs", "shared disks are not put back automatically")
        )
    if any(
        word in str((properties.get("securityProfile") or {}).get("securityType", "")) for word in UNSUPPORTED_SECURITY
    ):
        found.append(
            Objection(f"disk {disk.name} belongs to a confidential VM", "patch confidential VMs without rollback")
        )
    if (properties.get("encryptionSettingsCollection") or {}).get("enabled"):
        found.append(
            Objection(
                f"disk {disk.name} is encrypted by Azure Disk Encryption",
                "use encryption at host or server-side encryption",
            )
        )
    return found


def rights_objection(missing: Sequence[str], scope: str) -> Objection | None:
    """Against an identity that may not do what a whole run could need, each action by name."""
    if not missing:
        return None
    return Objection(
        f"the Azure identity lacks {', '.join(missing)} at {scope}",
        "assign the custom role of moorings (docs: azure-set-up), then run again",
    )


def one_text(objections: Sequence[Objection]) -> tuple[str, str]:
    """All reasons, and all remedies, as one sentence each."""
    return "; ".join(found.reason for found in objections), "; ".join(
        dict.fromkeys(found.remedy for found in objections)
    )


def _other(what: str) -> Objection:
    return Objection(
        f"the node claims another VM: {what}", "look into it: a node that names a VM which it is not is suspect"
    )
