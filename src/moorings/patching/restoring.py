"""`restore` and `verify`: one move of the reconciler a call, whoever calls; and whether the node is back.

A call looks, plans, notes what it is about to do, checks that the VM is still its own, starts the move and returns.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from moorings.errors import Busy, CloudFault
from moorings.patching import disks
from moorings.patching.deleting import REPLACEMENT, own_tags
from moorings.patching.describing import require_running
from moorings.patching.model import RESTORE_TIME, CheckpointDisk, Phase, Restore, Run
from moorings.patching.observed import Operation, OperationState
from moorings.patching.outside import Outside, time_for
from moorings.patching.planning import (
    Deallocate,
    Finish,
    MakeDisk,
    Move,
    Sight,
    Start,
    Stop,
    Wait,
    WriteDisks,
    after_failure,
    plan,
)
from moorings.patching.ports import AzureRefused, Compute, Countdown

NEXT_STEP = timedelta(minutes=10)
ONE_MOVE = 8.0  # seconds that a look and a write may take together
# Azure takes 4 updates of a VM a minute: what was no try is not sent more often than 3 times.
SPACING = timedelta(seconds=20)
# Azure's throttles name up to 20 minutes; for a VM that is down somebody asks earlier.
LONGEST_HUSH = timedelta(minutes=1)
# Somebody else was quicker, or an earlier change still echoes: not a failure of the move.
NOT_NOW = frozenset(
    {
        "conflict",
        "operationpreempted",
        "attachdiskwhilebeingdetached",
        "preconditionfailed",
        "anotheroperationinprogress",
    }
)


def set_of(run: Run) -> tuple[CheckpointDisk, ...]:
    """The disks that are put back: a set whole or not at all."""
    if run.options.restore_data_disks:
        return run.checkpoint
    return tuple(entry for entry in run.checkpoint if entry.lun is None)


def restore(run: Run, outside: Outside, countdown: Countdown) -> Run:
    """The run, one move nearer to running on the checkpoint's disks; `run.restore.ended` tells when it is over."""
    require_running(run)
    run = _restoring(run, outside)
    moved = True
    while moved and not (run.restore and run.restore.ended) and time_for(countdown, ONE_MOVE):
        run, moved = _one_move(run, outside)
    return run


def verify(run: Run, outside: Outside) -> Run:
    """The run with what is known of the node since; `run.restore.online` stays None while it may yet come back."""
    require_running(run)
    state = run.restore
    if state is None or state.ended != "ours" or state.online is not None or state.ended_at is None:
        return run
    outside.hold(run, next_step=NEXT_STEP)
    node = outside.nodes.node(run.node)
    now = outside.clock.now()
    # A quick boot is over, and its agent heard of, before anybody sees that Azure's start is.
    since = min(state.ended_at, state.started_at or state.ended_at)
    online = node is not None and node.online and node.last_ping is not None and node.last_ping > since
    if not online and now - state.ended_at < run.boot_time:
        return run
    what = "the node is online again" if online else "the node did not come online"
    return outside.records.save(outside.noted(replace(run, restore=replace(state, online=online)), what))


def _restoring(run: Run, outside: Outside) -> Run:
    if run.restore is not None:
        return run
    now = outside.clock.now()
    fresh = Restore(began_at=now, deadline=now + RESTORE_TIME)
    run = outside.entered(replace(run, restore=fresh, look_at=now), Phase.RESTORING, "restoring the checkpoint")
    # What may exist from now on must be found again, whatever happens to this call.
    made = tuple(entry.replacement_id for entry in set_of(run))
    return outside.records.save(replace(run, leftovers=(*run.leftovers, *made)))


def _one_move(run: Run, outside: Outside) -> tuple[Run, bool]:
    """One look and at most one write. True if another look at once may find more to do."""
    assert run.restore is not None
    assert run.vm is not None
    compute = outside.compute(run)
    operation = _operation(run.restore, compute)
    if operation is not None and operation.state is OperationState.RUNNING:
        outside.hold(run, next_step=NEXT_STEP)
        return run, False
    state = _operation_over(run.restore, operation)
    entries, vm = set_of(run), compute.vm(run.vm)
    sight = Sight(
        vm=vm if vm is not None and vm.is_of(run.vm_guid) else None,
        replacements={entry.lun: compute.disk(entry.replacement_id) for entry in entries},
    )
    move = plan(sight, entries, state, now=outside.clock.now())
    changed, run = state != run.restore, replace(run, restore=state)
    match move:
        case Wait():
            outside.hold(run, next_step=NEXT_STEP)
            return (outside.records.save(run) if changed else run), False
        case Finish():
            return _finished(run, move, outside), False
        case _ if state.not_before is not None and outside.clock.now() < state.not_before:
            outside.hold(run, next_step=NEXT_STEP)
            return (outside.records.save(run) if changed else run), False
        case _:
            return _write(run, move, sight, compute, outside)


def _write(run: Run, move: Move, sight: Sight, compute: Compute, outside: Outside) -> tuple[Run, bool]:
    assert run.restore is not None
    before, kind = run.restore, _kind(move)
    begun = _begun(before, kind, outside.clock.now())
    run = outside.records.save(outside.noted(replace(run, restore=begun), _words(move)))
    outside.hold(run, next_step=NEXT_STEP)
    try:
        monitor = _carry_out(run, move, sight, compute, outside)
    except AzureRefused as refused:
        if refused.code.lower() in NOT_NOW or refused.status == 412:
            return _undone(run, before, str(refused), SPACING, outside), False
        tried = _counted(begun, before, kind)
        after = after_failure(tried, kind=kind, status=refused.status, code=refused.code, message=refused.message)
        # Nothing was begun: the next try, or the start of the VM as it is, need not wait for another call.
        return outside.records.save(outside.noted(replace(run, restore=after), f"Azure refused: {after.note}")), True
    except Busy as busy:
        # It had no effect, so it was no try.
        return _undone(run, before, busy.message, min(busy.retry_after, LONGEST_HUSH), outside), False
    except CloudFault as fault:
        # It may have had its effect: the next look tells. It is no try, for it may not even have arrived.
        outside.journal.record("answer_lost", call=fault.call, error=fault.message)
        return _undone(run, begun, fault.message, SPACING, outside), False
    after = replace(_counted(begun, before, kind), pending=monitor)
    return outside.records.save(replace(run, restore=after)), isinstance(move, MakeDisk)


def _undone(run: Run, state: Restore, why: str, pause: timedelta, outside: Outside) -> Run:
    """The run after a move that was no try, and that is not made again before the pause is over."""
    state = replace(state, note=why[:300], not_before=outside.clock.now() + pause)
    return outside.records.save(replace(run, restore=state))


def _carry_out(run: Run, move: Move, sight: Sight, compute: Compute, outside: Outside) -> str:
    assert run.vm is not None
    assert run.restore is not None
    assert sight.vm is not None
    match move:
        case MakeDisk(entry):
            return compute.put_disk(entry.replacement_id, _replacement(run, entry, outside))
        case Stop(hard):
            return compute.power_off(run.vm, hard=hard)
        case Deallocate():
            return compute.deallocate(run.vm)
        case WriteDisks(storage):
            return compute.write_storage(sight.vm, storage, whole=not run.restore.patch)
        case Start():
            return compute.start(run.vm)
        case _:
            raise AssertionError(f"{move} writes nothing")


def _replacement(run: Run, entry: CheckpointDisk, outside: Outside) -> dict[str, object]:
    name = entry.replacement_id.rsplit("/", 1)[-1]
    tags = own_tags(
        name=name, execution=run.execution, role=REPLACEMENT, stack=outside.stack, copied=entry.disk.get("tags") or {}
    )
    return disks.replacement_body(entry, tags=tags)


def _operation(state: Restore, compute: Compute) -> Operation | None:
    # Disks tell their state themselves; the VM's own operations tell why they failed only here.
    if not state.pending or state.pending_kind == "make":
        return None
    try:
        return compute.operation(state.pending)
    except AzureRefused:
        # Forgotten, or read at a scope where the role does not reach: the VM itself tells how far it is.
        return Operation(state=OperationState.GONE)


def _operation_over(state: Restore, operation: Operation | None) -> Restore:
    if operation is None:
        return state
    if operation.state is OperationState.FAILED:
        return after_failure(state, kind=state.pending_kind, status=0, code=operation.code, message=operation.message)
    return replace(state, pending="", pending_kind="")


def _finished(run: Run, move: Finish, outside: Outside) -> Run:
    assert run.restore is not None
    why = move.why or (run.restore.note if move.where != "ours" else "")
    state = replace(run.restore, ended=move.where, ended_at=outside.clock.now(), pending="", pending_kind="", note=why)
    words = {
        "ours": "running on the disk made from the checkpoint",
        "source": "running on the former disk",
        "mixed": "running, with only some of its disks exchanged",
        "foreign": "hands off: somebody else has changed the disks",
        "down": "the VM does not start",
        "gone": "the VM is gone",
    }
    return outside.records.save(outside.entered(replace(run, restore=state), Phase.RESTORED, words[move.where]))


def _kind(move: Move) -> str:
    match move:
        case MakeDisk():
            return "make"
        case Stop() | Deallocate():
            return "stop"
        case WriteDisks():
            return "write"
        case _:
            return "start"


def _begun(state: Restore, kind: str, now: datetime) -> Restore:
    """With all that must be known of a move should nobody hear Azure's answer: whoever sends it dies, or is overtaken.
    So it is no try yet, else crashes and take-overs would use all of them up; but it is not sent again at once."""
    begun = replace(state, pending="", pending_kind=kind, not_before=now + SPACING)
    match kind:
        case "stop":
            return replace(begun, down_at=begun.down_at or now)
        case "write":
            return replace(begun, writes=max(begun.writes, 1))  # the disks may have been exchanged
        case "start":
            return replace(begun, started_at=now)
        case _:
            return begun


def _counted(begun: Restore, before: Restore, kind: str) -> Restore:
    """The move was a try: Azure has answered, and took it on or refused it."""
    tried = replace(begun, rounds=before.rounds + 1, not_before=None)
    match kind:
        case "make":
            return replace(tried, makes=before.makes + 1)
        case "stop":
            return replace(tried, stops=before.stops + 1)
        case "write":
            return replace(tried, writes=before.writes + 1)
        case _:
            return replace(tried, starts=before.starts + 1)


def _words(move: Move) -> str:
    match move:
        case MakeDisk(entry):
            return f"making disk {entry.replacement_id.rsplit('/', 1)[-1]}"
        case Stop(hard):
            return "powering the VM off" + (" at once" if hard else "")
        case Deallocate():
            return "deallocating the VM"
        case WriteDisks(_, aim):
            return f"giving the VM its disks ({aim.value})"
        case _:
            return "starting the VM"
