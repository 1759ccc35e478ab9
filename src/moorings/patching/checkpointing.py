"""`checkpoint`, `checkpoint-status`, `release`: a snapshot of each disk, usable or not, and gone again."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from moorings.errors import Busy
from moorings.patching import disks
from moorings.patching.deleting import CHECKPOINT, Deleter, may_delete, own_tags, resource_name
from moorings.patching.describing import LOOK_AGAIN, require_running
from moorings.patching.model import CHECKPOINT_TIME, CheckpointDisk, Phase, Run, Verdict
from moorings.patching.observed import CommandState, Disk, Snapshot
from moorings.patching.outside import Outside, time_for
from moorings.patching.ports import AzureRefused, Compute, Countdown
from moorings.patching.told import health_told, is_literal

# The longest step that follows: patching, which the runbook watches in short calls.
NEXT_STEP = timedelta(minutes=30)
ONE_PUT = 5.0


def checkpoint(run: Run, outside: Outside, countdown: Countdown, *, health: Sequence[str]) -> Run:
    """Begin the checkpoint, if the node is healthy and a checkpoint is wanted; `health` are the command ids of the
    first health check. The snapshots' ids are recorded before the first is taken."""
    if run.checkpoint_failure or (run.refusal and run.fence):
        return run  # it said so before: the node was not healthy, or there is nothing to take a snapshot of
    require_running(run)
    if run.phase is not Phase.DESCRIBED:
        return drive(run, outside, countdown) if run.phase is Phase.CHECKPOINTING else run
    run = _healthy_before(run, outside, health)
    if run.refusal or run.options.dry_run:
        return outside.records.save(run)
    outside.hold(run, next_step=NEXT_STEP)
    compute = outside.compute(run)
    try:
        entries = _entries(run, compute, outside)
    except AzureRefused as refused:
        return outside.records.save(replace(run, checkpoint_failure=f"Azure refuses: {refused}"))
    run = outside.entered(run, Phase.CHECKPOINTING, f"checkpoint of {_counted(entries)} begun")
    now = outside.clock.now()
    run = replace(
        run,
        checkpoint=entries,
        checkpoint_began_at=now,
        leftovers=tuple(entry.snapshot_id for entry in entries),
        look_at=now + LOOK_AGAIN,
    )
    return drive(outside.records.save(run), outside, countdown)


def drive(run: Run, outside: Outside, countdown: Countdown) -> Run:
    """See how far the snapshots are, and take those that nobody has taken yet."""
    require_running(run)
    if run.phase is not Phase.CHECKPOINTING or run.checkpoint_failure:
        return run
    compute = outside.compute(run)
    began = run.checkpoint_began_at or outside.clock.now()
    entries, failure = [], ""
    for entry in run.checkpoint:
        if entry.usable or failure or not time_for(countdown, ONE_PUT):
            entries.append(entry)
            continue
        seen, failure = _one(run, entry, compute, outside)
        entries.append(seen)
    if not failure and outside.clock.now() - began > CHECKPOINT_TIME and not all(entry.usable for entry in entries):
        failure = f"a snapshot was not usable after {CHECKPOINT_TIME.total_seconds() / 60:.0f} minutes"
    after = replace(run, checkpoint=tuple(entries), checkpoint_failure=failure)
    if failure:
        return outside.records.save(outside.noted(after, f"no usable checkpoint: {failure}"))
    if all(entry.usable for entry in entries):
        after = replace(
            outside.entered(after, Phase.CHECKPOINTED, "checkpoint usable"), patching_since=outside.clock.now()
        )
    return outside.records.save(after) if after != run else run


def _one(run: Run, entry: CheckpointDisk, compute: Compute, outside: Outside) -> tuple[CheckpointDisk, str]:
    """One disk of the checkpoint as it is now, and why it never will be usable if so."""
    if not entry.begun:
        return _take(run, entry, compute, outside)
    snapshot = compute.snapshot(entry.snapshot_id)
    if snapshot is None:
        return entry, "the snapshot is gone"
    objection = _not_ours(snapshot, run)
    if objection:
        return entry, f"there is a snapshot {snapshot.name} already, and {objection}"
    usable, failure = disks.snapshot_state(snapshot, source_unique_id=entry.source_unique_id)
    return replace(entry, usable=usable), failure


def _take(run: Run, entry: CheckpointDisk, compute: Compute, outside: Outside) -> tuple[CheckpointDisk, str]:
    outside.hold(run, next_step=NEXT_STEP)
    name = entry.snapshot_id.rsplit("/", 1)[-1]
    tags = own_tags(
        name=name, execution=run.execution, role=CHECKPOINT, stack=outside.stack, copied=entry.disk.get("tags") or {}
    )
    try:
        compute.put_snapshot(entry.snapshot_id, disks.snapshot_body(Disk(entry.disk), tags=tags))
    except AzureRefused as refused:
        return entry, f"Azure refuses the snapshot: {refused}"
    except Busy:
        return entry, ""  # throttled: the next round takes it
    return replace(entry, begun=True), ""


def _not_ours(snapshot: Snapshot, run: Run) -> str:
    """Why the run itself may not delete this snapshot, so it is not this run's checkpoint; empty if it is."""
    return may_delete(
        snapshot.name,
        snapshot.tags,
        deleter=Deleter.RUN,
        execution=run.execution,
        now=run.began_at,
        over=False,
        attached=False,
    )


def _healthy_before(run: Run, outside: Outside, health: Sequence[str]) -> Run:
    command = next((one for one in health if not is_literal(one)), "")
    result = outside.nodes.command(command, run.node) if command else None
    if result is not None and result.state is CommandState.WAITING:
        raise Busy("the health check's result is not there yet", retry_after=timedelta(seconds=5))
    ended = result is not None and result.state is CommandState.SUCCESS
    report = health_told(result.output) if result is not None and ended else None
    if report is None:
        detail = f" ({result.detail or result.state.value})" if result is not None else ""
        return replace(
            run,
            refusal=f"the node could not be asked for its health{detail}",
            remedy="look at the output of the step HealthBefore; the node must run commands",
        )
    failing = [str(number) for number, code in enumerate(report.checks, start=1) if code]
    if failing:
        run = replace(
            run,
            refusal=f"the node is not healthy before patching: health check {', '.join(failing)} fails",
            remedy="make the node healthy first, or take the check out of HealthCheckCommands",
        )
    return outside.noted(replace(run, before=report), "unhealthy before" if failing else "healthy before")


def _entries(run: Run, compute: Compute, outside: Outside) -> tuple[CheckpointDisk, ...]:
    assert run.vm is not None
    vm = compute.vm(run.vm)
    if vm is None or not vm.is_of(run.vm_guid):
        raise AzureRefused(status=404, code="ResourceNotFound", message=f"the VM {run.vm.name} is gone")
    attached = [vm.os_disk, *(vm.data_disks if run.options.snapshot_data_disks else ())]
    found = []
    for one in attached:
        disk = compute.disk(one.disk_id)
        if disk is None:
            raise AzureRefused(status=404, code="ResourceNotFound", message=f"the disk {one.name} is gone")
        name = resource_name(run.vm, run.execution, one.lun)
        found.append(
            CheckpointDisk(
                lun=one.lun,
                source_id=disk.id,
                source_unique_id=disk.unique_id,
                snapshot_id=run.vm.child("snapshots", name),
                replacement_id=run.vm.child("disks", name),
                disk=dict(disk.wire),
                attachment=dict(one.wire),
            )
        )
    return tuple(found)


def release(run: Run, outside: Outside, *, over: bool = False) -> Run:
    """Begin to delete the checkpoint of a run that needs it no more. `over`: the run has ended without touching the VM.

    What cannot be deleted now stays among the leftovers, for the report to mark and the keeper to remove.
    """
    if not run.checkpoint or run.fence == 0 or not (over or _may_go(run)):
        return run
    outside.hold(run, next_step=NEXT_STEP)
    compute = outside.compute(run)
    released = list(run.released)
    for resource_id in run.leftovers:
        snapshot = compute.snapshot(resource_id) if resource_id not in released else None
        if snapshot is not None and _deleted(run, snapshot, compute, outside):
            released.append(resource_id)
    run = outside.entered(replace(run, released=tuple(released)), Phase.RELEASING, "checkpoint released")
    return outside.records.save(run)


def _may_go(run: Run) -> bool:
    if run.checkpoint_failure:
        return True
    if run.judgement is None or run.restore is not None or run.options.keep_snapshot_hours > 0:
        return False
    return run.judgement.verdict in {Verdict.PATCHED, Verdict.UNTOUCHED}


def _deleted(run: Run, snapshot: Snapshot, compute: Compute, outside: Outside) -> bool:
    why = _not_ours(snapshot, run)
    if not why:
        try:
            compute.delete(snapshot.id)
            return True
        except (AzureRefused, Busy) as error:
            why = str(error)
    outside.journal.record("not_deleted", resource=snapshot.id, why=why)
    return False


def _counted(entries: Sequence[CheckpointDisk]) -> str:
    return "1 disk" if len(entries) == 1 else f"{len(entries)} disks"
