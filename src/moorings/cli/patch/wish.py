"""What `moorings patch run` was asked for, as parameters of the runbook and as a choice of nodes. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from moorings.cli.patch.surroundings import NODE_ID
from moorings.errors import Conflict, Invalid
from moorings.nodes.model import ManagedNode
from moorings.nodes.ports import Fleet
from moorings.patching.model import RollbackOn

LONGEST_VALUE, MOST_VALUES = 512, 50  # of a parameter. Source: Systems Manager Automation quotas
MOST_LOOKED_UP = 5  # nodes that are asked for one by one; more are found by listing all


class Operation(Enum):
    """What a run is for."""

    INSTALL = "Install"
    SCAN = "Scan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The run that is wanted. None and empty leave the runbook's own default."""

    operation: Operation = Operation.INSTALL
    reboot: bool | None = None
    health_checks: Sequence[str] = ()
    pre_patch: Sequence[str] = ()
    snapshot_data_disks: bool = False
    restore_data_disks: bool = False
    rollback_on: RollbackOn | None = None
    keep_snapshot_hours: int | None = None
    keep_failed_disk_hours: int | None = None
    dry_run: bool = False
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def changes(self) -> bool:
        """Whether a VM may be changed at all."""
        return self.operation is Operation.INSTALL and not self.dry_run

    def parameters(self) -> dict[str, list[str]]:
        """The runbook's parameters. Invalid if the service would not take one."""
        flags = {
            "SnapshotDataDisks": self.snapshot_data_disks or self.restore_data_disks,
            "RestoreDataDisks": self.restore_data_disks,
            "DryRun": self.dry_run,
        }
        single = {
            "Operation": self.operation.value if self.operation is not Operation.INSTALL else None,
            "RebootOption": None if self.reboot is None else ("RebootIfNeeded" if self.reboot else "NoReboot"),
            "RollbackOn": self.rollback_on.value if self.rollback_on else None,
            "KeepSnapshotHours": _text(self.keep_snapshot_hours),
            "KeepFailedDiskHours": _text(self.keep_failed_disk_hours),
            **{name: "true" for name, wanted in flags.items() if wanted},
            **self.more,
        }
        lists = {"HealthCheckCommands": list(self.health_checks), "PrePatchCommands": list(self.pre_patch)}
        given = {name: [value] for name, value in single.items() if value is not None}
        given |= {name: values for name, values in lists.items() if values}
        for name, values in given.items():
            _check(name, values)
        return given


def chosen(
    fleet: Fleet, *, named: Sequence[str], target: str, everything: bool, online_only: bool
) -> list[ManagedNode]:
    """The nodes that are meant, in a fixed order. Invalid if it is not said in exactly one way, or a name is none;
    Conflict if nobody is left."""
    if sum((bool(named), bool(target), everything)) != 1:
        raise Invalid(
            "which nodes to patch has to be said in one way",
            remedy="give ids of nodes, or --target tag:NAME=VALUE, or --all",
        )
    found = _named(fleet, named) if named else sorted(_found(fleet, target), key=lambda node: node.id)
    left = [node for node in found if node.online or not online_only]
    if not left:
        what = f"managed node bears {target}" if target else "managed node is there"
        raise Conflict(f"no {'online ' if online_only else ''}{what}", remedy="look: moorings nodes list")
    return left


def _found(fleet: Fleet, target: str) -> Iterable[ManagedNode]:
    if not target:
        return fleet.nodes()
    name, sign, value = target.removeprefix("tag:").partition("=")
    if not target.startswith("tag:") or not sign or not name:
        raise Invalid(f"--target {target!r} names no tag", remedy="write --target tag:NAME=VALUE")
    return fleet.nodes(tag=(name, value))


def _named(fleet: Fleet, named: Sequence[str]) -> list[ManagedNode]:
    unique = list(dict.fromkeys(named))
    wrong = [each for each in unique if not NODE_ID.fullmatch(each)]
    if wrong:
        raise Invalid(
            f"{', '.join(wrong)}: no id of a managed node",
            remedy="ids look like mi-0123456789abcdef0: `moorings nodes list`",
        )
    if len(unique) > MOST_LOOKED_UP:
        known = {node.id: node for node in fleet.nodes()}
    else:
        known = {node.id: node for each in unique if (node := fleet.node(each)) is not None}
    missing = [each for each in unique if each not in known]
    if missing:
        raise Invalid(f"there is no managed node {', '.join(missing)}", remedy="look: moorings nodes list")
    return [known[each] for each in unique]


def _check(name: str, values: Sequence[str]) -> None:
    if len(values) > MOST_VALUES:
        raise Invalid(f"{name} has {len(values)} values, {MOST_VALUES} are possible", remedy="put them into a script")
    long = next((value for value in values if len(value) > LONGEST_VALUE), None)
    if long is not None:
        raise Invalid(
            f"{name}: {long[:40]!r}… has {len(long)} characters, {LONGEST_VALUE} are possible",
            remedy="put it into a script on the node, and call that",
        )


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)
