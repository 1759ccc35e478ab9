"""The next move of a restore: pure, from what Azure shows now to one move. No history decides but counters and a clock.

Each call of the function looks, plans, starts one move and returns; whoever comes next (a later round, another process,
the keeper) plans anew from what it sees. Order: make the new disks first, while the VM still runs; then stop, write the
disks, start. Whatever fails for good or lasts too long turns the aim to "running on whichever disk is attached".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from moorings.patching.disks import attachment_of, storage_with
from moorings.patching.model import Aim, CheckpointDisk, Restore
from moorings.patching.observed import Disk, Operation, OperationState, Power, Vm, same_id

# What is left of the deadline must suffice to start the VM on whatever disk it has.
LATE = timedelta(minutes=8)
# Azure lets a VM be updated 12 times in a burst: all tries together stay below. A try is what Azure has answered.
MAKES, STOPS, WRITES, WRITES_BACK, STARTS = 3, 2, 3, 5, 3
# After so many starts in a row Azure has no room; it may have some later, until the deadline.
START_PAUSE = timedelta(minutes=4)
# Refusals to write the disks of a VM that releasing its host would not change.
_NOT_THE_STATE = frozenset({"scopelocked", "conflictinguserinput", "propertychangenotallowed"})
BUSY = frozenset({"updating", "creating", "deleting", "migrating"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What Azure shows: the VM (None: it is gone), the replacement disks by LUN, and the operation begun last."""

    vm: Vm | None
    replacements: Mapping[int | None, Disk | None]
    operation: Operation | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Something is under way; `why` says what."""

    why: str


@dataclass(frozen=True, slots=True)
class MakeDisk:
    """Make the replacement of one disk of the checkpoint."""

    entry: CheckpointDisk


@dataclass(frozen=True, slots=True)
class Stop:
    """Power the VM off. `hard`: at once, because every disk that it could still write to is put back."""

    hard: bool


@dataclass(frozen=True, slots=True)
class Deallocate:
    """Release the VM's host: Azure refused to change its disks while it is merely stopped."""


@dataclass(frozen=True, slots=True)
class WriteDisks:
    """Write the VM with this storage profile."""

    storage: Mapping[str, Any] = field(repr=False)
    aim: Aim


@dataclass(frozen=True, slots=True)
class Start:
    """Start the VM."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing more is to be done; `where` is `ours`, `source`, `mixed`, `foreign`, `down` or `gone`."""

    where: str
    why: str = ""


Move = Wait | MakeDisk | Stop | Deallocate | WriteDisks | Start | Finish


def plan(sight: Sight, entries: Sequence[CheckpointDisk], restore: Restore, *, now: datetime) -> Move:
    """The next move towards the checkpoint's disks, or, once given up or late, towards a running VM.

    `entries` are the disks of the set that is restored, the OS disk among them. Total: every sight has a move.
    """
    vm = sight.vm
    if vm is None:
        return Finish("gone", "the VM is gone")
    if any(_owner(vm, entry, restore) == "foreign" for entry in entries):
        return Finish("foreign", "another disk is attached than the former one or ours")
    under_way = _under_way(vm, sight, restore)
    if under_way:
        return Wait(under_way)
    late = now >= restore.deadline - LATE
    move = _towards_ours(vm, sight, entries, restore, now)
    if late and not _reached(vm, entries, Aim.OURS):
        return _settle(vm, entries, restore, now, aim=_nearest(vm, entries), why="no time is left to put it back")
    if _spent(move, restore, len(entries)):
        return _settle(vm, entries, restore, now, aim=Aim.SOURCE, why=restore.note or "every try is used up")
    return move


def _towards_ours(vm: Vm, sight: Sight, entries: Sequence[CheckpointDisk], restore: Restore, now: datetime) -> Move:
    if _reached(vm, entries, Aim.OURS):
        return _run(vm, restore, now, Aim.OURS.value)
    return _make(sight, entries) or _exchange(vm, entries, restore, Aim.OURS)


def _settle(vm: Vm, entries: Sequence[CheckpointDisk], restore: Restore, now: datetime, *, aim: Aim, why: str) -> Move:
    """The checkpoint's disks will not be reached: get the VM running; a set that came over in part goes back whole."""
    if not _reached(vm, entries, aim) and restore.writes < WRITES_BACK:
        move = _exchange(vm, entries, restore, aim)
        if restore.stops <= STOPS or not isinstance(move, Stop | Deallocate):
            return move
        if isinstance(move, Deallocate):
            return WriteDisks(wanted_storage(vm, entries, aim), aim)  # stopped it is, and that must do
    return _run(vm, restore, now, _where(vm, entries), why)


def _where(vm: Vm, entries: Sequence[CheckpointDisk]) -> str:
    return next((aim.value for aim in Aim if _reached(vm, entries, aim)), "mixed")


def _nearest(vm: Vm, entries: Sequence[CheckpointDisk]) -> Aim:
    return Aim.OURS if _attached_os(vm, entries) == "ours" else Aim.SOURCE


def _spent(move: Move, restore: Restore, disks: int) -> bool:
    """Whether this move towards the checkpoint's disks has been tried as often as makes sense."""
    match move:
        case MakeDisk():
            return restore.makes >= MAKES * disks
        case Stop():
            return restore.stops >= STOPS or restore.writes >= WRITES
        case Deallocate():
            return restore.stops > STOPS or restore.writes >= WRITES
        case WriteDisks():
            return restore.writes >= WRITES
        case _:
            return False


def after_failure(restore: Restore, *, kind: str, status: int, code: str, message: str) -> Restore:
    """The restore after Azure refused or failed a move of `kind` (make, stop, write, start)."""
    after = replace(
        restore, pending="", pending_kind="", note=f"{kind}: {code or status} {message}".strip().rstrip(".")[:300]
    )
    if kind != "write":
        return after
    if status == 403:
        return replace(after, patch=True)  # taking the whole VM back needs rights on all that it refers to
    # Refused at once: the state is wrong. Failed later, and again: it may be so too.
    state = (status == 409 or restore.writes >= 2) and code.lower() not in _NOT_THE_STATE
    return replace(after, deallocate=restore.deallocate or state)


def _under_way(vm: Vm, sight: Sight, restore: Restore) -> str:
    if sight.operation is not None and sight.operation.state is OperationState.RUNNING:
        return f"Azure works on it ({restore.pending_kind})"
    return f"the VM is {vm.provisioning}" if vm.provisioning.lower() in BUSY else ""


def _run(vm: Vm, restore: Restore, now: datetime, where: str, why: str = "") -> Move:
    """The disks are as they shall be, or as good as it gets: see that the VM runs."""
    power = vm.power
    if power is Power.RUNNING:
        return Finish(where, why)
    if power in {Power.STARTING, Power.STOPPING, Power.DEALLOCATING}:
        return Wait(f"the VM is {power.value}")
    if restore.starts >= STARTS:
        if restore.started_at is None or now >= restore.deadline:
            return Finish("down", restore.note or why or "Azure does not start it")
        if now - restore.started_at < START_PAUSE:
            return Wait("Azure does not start the VM now")
    return Start()


def _make(sight: Sight, entries: Sequence[CheckpointDisk]) -> Move | None:
    for entry in entries:
        disk = sight.replacements.get(entry.lun)
        state = disk.provisioning.lower() if disk is not None else ""
        if disk is None or state in {"failed", "canceled"}:
            return MakeDisk(entry)
        if state != "succeeded":
            return Wait("the disk is being made from the snapshot")
    return None


def _exchange(vm: Vm, entries: Sequence[CheckpointDisk], restore: Restore, aim: Aim) -> Move:
    power = vm.power
    if power in {Power.STARTING, Power.STOPPING, Power.DEALLOCATING}:
        return Wait(f"the VM is {power.value}")
    if power is Power.RUNNING or (power is Power.UNKNOWN and restore.stops == 0):
        return Stop(hard=_all_put_back(vm, entries))
    if restore.deallocate and power is not Power.DEALLOCATED:
        return Deallocate()
    return WriteDisks(wanted_storage(vm, entries, aim), aim)


def wanted_storage(vm: Vm, entries: Sequence[CheckpointDisk], aim: Aim) -> dict[str, Any]:
    """The storage profile that brings the VM (one step nearer) to `aim`."""
    ids = {entry.lun: entry.replacement_id if aim is Aim.OURS else entry.source_id for entry in entries}
    data = {entry.lun: attachment_of(entry, ids[entry.lun]) for entry in entries if entry.lun is not None}
    return storage_with(vm, os_disk=ids[None], data=data)


def _owner(vm: Vm, entry: CheckpointDisk, restore: Restore) -> str:
    attached = vm.attached(entry.lun)
    if attached is None:
        return "none" if restore.writes else "foreign"  # nobody but us should have taken it away
    if same_id(attached.disk_id, entry.replacement_id):
        return "ours"
    return "source" if same_id(attached.disk_id, entry.source_id) else "foreign"


def _attached_os(vm: Vm, entries: Sequence[CheckpointDisk]) -> str:
    entry = next(entry for entry in entries if entry.lun is None)
    return "ours" if same_id(vm.os_disk.disk_id, entry.replacement_id) else "source"


def _reached(vm: Vm, entries: Sequence[CheckpointDisk], aim: Aim) -> bool:
    for entry in entries:
        attached = vm.attached(entry.lun)
        wanted = entry.replacement_id if aim is Aim.OURS else entry.source_id
        if attached is None or not same_id(attached.disk_id, wanted):
            return False
    return True


def _all_put_back(vm: Vm, entries: Sequence[CheckpointDisk]) -> bool:
    covered = {entry.lun for entry in entries}
    return all(disk.lun in covered for disk in vm.data_disks)
