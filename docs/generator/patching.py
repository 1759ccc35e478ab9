"""Patching's decisions as tables: each cell is what the room's own code answers for a case built for it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from docs.generator.tables import code, table

from moorings.patching import deleting, judging, model, planning, upkeep
from moorings.patching.deleting import CHECKPOINT, FAILED_DISK, REPLACEMENT, Deleter, own_tags
from moorings.patching.model import (
    CheckpointDisk,
    Evidence,
    HealthReport,
    Judgement,
    Outcome,
    Phase,
    Restore,
    RollbackOn,
    Run,
    Verdict,
    VmRef,
)
from moorings.patching.observed import Disk, Operation, OperationState, Vm
from moorings.patching.planning import Deallocate, Finish, MakeDisk, Move, Sight, Start, Stop, Wait, WriteDisks

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
EXECUTION = "5f2c9e31-0000-4000-8000-000000000001"
VM = VmRef(subscription="0", group="web", name="web-01")

# -- evidence → verdict ------------------------------------------------------------------------------------------------

WELL = HealthReport(boot="b1", checks=(0,))
GOOD = Evidence(
    install="success", install_began=True, before=WELL, after=WELL, scan_fresh=True, installed_now=3, missing=0
)
FAILING = HealthReport(boot="b2", checks=(1,))
CASES: Mapping[str, Evidence] = {
    "installed, online, fresh scan, every check passes": GOOD,
    "… but the patch command ended with exit code 1": replace(GOOD, install="failed", install_exit=1),
    "… but some patches failed or are missing": replace(GOOD, failed=1, missing=1),
    "… but patches wait for a reboot": replace(GOOD, pending_reboot=2),
    "… but the scan afterwards is missing": replace(GOOD, scan_fresh=False),
    "nothing was to be installed": replace(GOOD, installed_now=0),
    "nothing was installed although something is missing; same boot, healthy": replace(
        GOOD, installed_now=0, missing=2
    ),
    "`PrePatchCommands` failed, nothing installed, healthy": replace(
        GOOD, install="unsent", installed_now=0, prepatch_failed=True
    ),
    "the patch command was never delivered; the node is healthy": replace(
        GOOD, install="undelivered", install_began=False, installed_now=0, install_detail="DeliveryTimedOut"
    ),
    "the patch command was never delivered; the node is not seen": replace(
        GOOD, install="undelivered", install_began=False, after=None
    ),
    "a check that passed before fails now": replace(GOOD, after=FAILING),
    "the node is silent for longer than `NodeBootTime`": replace(GOOD, offline=True, after=None),
    "… but Azure says that the VM runs, and that its own agent there is ready": replace(
        GOOD, offline=True, after=None, guest=judging.READY
    ),
    "… and Azure does not answer either": replace(GOOD, offline=True, after=None, guest=judging.UNSEEN),
    "the node is healthy, but the patch command has not ended": replace(GOOD, install="waiting"),
    "nobody could ask the node, and it is not silent for that long": replace(GOOD, after=None),
}
VERDICTS: Mapping[Verdict, str] = {
    Verdict.PATCHED: "online, scanned afresh, healthy",
    Verdict.UNTOUCHED: "nothing was installed, same boot, healthy",
    Verdict.BAD: "the node is gone, or a check that passed before fails now",
    Verdict.UNKNOWN: "our side could not see it",
}


def verdicts() -> str:
    """What each kind of evidence is judged as, and the warnings beside it."""
    rows = []
    for what, evidence in CASES.items():
        found = judging.judge(evidence)
        rows.append((what, code(found.verdict.value), found.reason, "; ".join(found.warnings)))
    return table(("evidence", "verdict", "reason told", "warnings"), rows)


NEXT = {True: "restore", False: "keep the checkpoint, touch nothing"}


def after_verdict() -> str:
    """What follows a verdict, by RollbackOn."""
    rows = []
    for verdict, meaning in VERDICTS.items():
        ways = [_after(verdict, each) for each in RollbackOn]
        rows.append((code(verdict.value), meaning, *ways))
    columns = [code(each.value) + (" (default)" if each is RollbackOn.BAD else "") for each in RollbackOn]
    return table(("verdict", "means", *columns), rows)


def _after(verdict: Verdict, rollback_on: RollbackOn) -> str:
    if judging.wants_restore(verdict, rollback_on):
        return "restore"
    return "release the checkpoint" if verdict in {Verdict.PATCHED, Verdict.UNTOUCHED} else NEXT[False]


# -- the run → outcome -------------------------------------------------------------------------------------------------

RUN = Run(execution=EXECUTION, node="mi-0", began_at=NOW, vm=VM, fence=1)


def _judged(verdict: Verdict, *, nothing: bool = False, **options: Any) -> Run:
    judgement = Judgement(verdict=verdict, reason="…", nothing_to_do=nothing)
    return replace(RUN, phase=Phase.JUDGED, judgement=judgement, options=replace(RUN.options, **options))


def _ended(where: str, *, online: bool | None = None) -> Run:
    restore = Restore(began_at=NOW, deadline=NOW, ended=where, ended_at=NOW if where else None, online=online)
    return replace(_judged(Verdict.BAD), phase=Phase.RESTORED, restore=restore)


ENDS: Mapping[str, Run] = {
    "verdict PATCHED": _judged(Verdict.PATCHED),
    "verdict UNTOUCHED: nothing was to be done": _judged(Verdict.UNTOUCHED, nothing=True),
    "verdict UNTOUCHED otherwise": _judged(Verdict.UNTOUCHED),
    "`DryRun`": replace(RUN, options=replace(RUN.options, dry_run=True)),
    "`Operation` Scan, which ended well": replace(RUN, options=replace(RUN.options, operation="Scan")),
    "refused before anything was touched": replace(RUN, refusal="…"),
    "no usable checkpoint": replace(RUN, phase=Phase.CHECKPOINTING, checkpoint_failure="…"),
    "cancelled before patching began": replace(RUN, phase=Phase.CHECKPOINTED),
    "cancelled after patching began, before a verdict": replace(RUN, phase=Phase.PATCHING),
    "verdict BAD or UNKNOWN, and `RollbackOn` says not to restore": _judged(Verdict.BAD, rollback_on=RollbackOn.NEVER),
    "restored; the node came online": _ended("ours", online=True),
    "restored; the node did not come online": _ended("ours", online=False),
    "not restored; the VM runs on its former disk": _ended("source"),
    "of a set only some disks came back": _ended("mixed"),
    "somebody changed the VM's disks meanwhile": _ended("foreign"),
    "the VM does not start": _ended("down"),
    "the VM is gone": _ended("gone"),
}
KEPT: Mapping[Outcome, str] = {
    Outcome.PATCHED: "nothing, or snapshots for `KeepSnapshotHours`",
    Outcome.UNCHANGED: "nothing",
    Outcome.ROLLED_BACK: "snapshots for `KeepSnapshotHours`, the replaced disk for `KeepFailedDiskHours`",
    Outcome.ROLLBACK_FAILED: "everything, without an expiry",
    Outcome.UNDECIDED: "everything, without an expiry",
}


def outcomes() -> str:
    """How each kind of run ends."""
    rows = []
    for what, run in ENDS.items():
        told = judging.conclude(run, install_began=run.phase is Phase.PATCHING, scanned=True)
        rows.append((what, code(told.outcome.value), "yes" if told.wrong else "no", KEPT[told.outcome]))
    return table(("the run", "outcome", "wrong", "left in Azure"), rows)


# -- the reconciler ----------------------------------------------------------------------------------------------------

SOURCE, OURS, FOREIGN = (VM.child("disks", name) for name in ("source", "ours", "foreign"))
ENTRY = CheckpointDisk(
    lun=None, source_id=SOURCE, source_unique_id="u", snapshot_id="s", replacement_id=OURS, disk={}, begun=True
)
DATA_SOURCE, DATA_OURS = (VM.child("disks", name) for name in ("data-source", "data-ours"))
DATA_ENTRY = replace(ENTRY, lun=0, source_id=DATA_SOURCE, replacement_id=DATA_OURS)
FRESH = Restore(began_at=NOW, deadline=NOW + model.RESTORE_TIME)
LATE = NOW + model.RESTORE_TIME - planning.LATE


def _vm(disk: str, power: str, provisioning: str = "Succeeded", data: str = "") -> Vm:
    disks = [{"lun": 0, "name": "data", "managedDisk": {"id": data}}] if data else []
    storage = {"osDisk": {"name": "os", "managedDisk": {"id": disk}}, "dataDisks": disks}
    view = {"statuses": [{"code": f"PowerState/{power}"}]}
    return Vm(
        {
            "id": VM.id,
            "name": VM.name,
            "properties": {"provisioningState": provisioning, "storageProfile": storage, "instanceView": view},
        }
    )


def _disk(state: str) -> Disk:
    return Disk({"id": OURS, "name": "ours", "properties": {"provisioningState": state}})


MADE = {None: _disk("Succeeded"), 0: _disk("Succeeded")}
RUNNING_OPERATION = Operation(state=OperationState.RUNNING)
SIGHTS: Mapping[str, tuple[Sight, Restore, datetime]] = {
    "the VM is gone": (Sight(vm=None, replacements=MADE), FRESH, NOW),
    "another disk is attached than the former one or ours": (
        Sight(vm=_vm(FOREIGN, "running"), replacements=MADE),
        FRESH,
        NOW,
    ),
    "Azure still works on what was begun last": (
        Sight(vm=_vm(SOURCE, "running"), replacements=MADE, operation=RUNNING_OPERATION),
        FRESH,
        NOW,
    ),
    "former disk, running; ours is not made yet": (
        Sight(vm=_vm(SOURCE, "running"), replacements={None: None}),
        FRESH,
        NOW,
    ),
    "former disk, running; ours is being made": (
        Sight(vm=_vm(SOURCE, "running"), replacements={None: _disk("Creating")}),
        FRESH,
        NOW,
    ),
    "former disk, running; ours is ready": (Sight(vm=_vm(SOURCE, "running"), replacements=MADE), FRESH, NOW),
    "former disk, stopping": (Sight(vm=_vm(SOURCE, "stopping"), replacements=MADE), FRESH, NOW),
    "former disk, stopped": (Sight(vm=_vm(SOURCE, "stopped"), replacements=MADE), FRESH, NOW),
    "former disk, stopped; Azure refused the exchange": (
        Sight(vm=_vm(SOURCE, "stopped"), replacements=MADE),
        replace(FRESH, deallocate=True, writes=1),
        NOW,
    ),
    "former disk, deallocated": (
        Sight(vm=_vm(SOURCE, "deallocated"), replacements=MADE),
        replace(FRESH, deallocate=True, writes=1),
        NOW,
    ),
    "our disk, stopped or deallocated": (Sight(vm=_vm(OURS, "stopped"), replacements=MADE), FRESH, NOW),
    "our disk, running": (Sight(vm=_vm(OURS, "running"), replacements=MADE), FRESH, NOW),
    "former disk, stopped; every try is used up, or no time is left": (
        Sight(vm=_vm(SOURCE, "stopped"), replacements=MADE),
        FRESH,
        LATE,
    ),
    "former disk, running; every try is used up, or no time is left": (
        Sight(vm=_vm(SOURCE, "running"), replacements=MADE),
        FRESH,
        LATE,
    ),
    "our disk, stopped; Azure has just failed to start it several times": (
        Sight(vm=_vm(OURS, "stopped"), replacements=MADE),
        replace(FRESH, starts=planning.STARTS, started_at=NOW),
        NOW,
    ),
    "… and the deadline has passed": (
        Sight(vm=_vm(OURS, "stopped"), replacements=MADE),
        replace(FRESH, starts=planning.STARTS, started_at=NOW),
        NOW + model.RESTORE_TIME,
    ),
    "of a set some disks are ours, some former ones; every try is used up": (
        Sight(vm=_vm(OURS, "running", data=DATA_SOURCE), replacements=MADE),
        replace(FRESH, stops=planning.STOPS + 1, writes=planning.WRITES_BACK),
        NOW,
    ),
}
ENDED = {
    "ours": "done: `ROLLED_BACK`, once the node has had its time to come online",
    "source": "over: `ROLLBACK_FAILED`, the VM runs on its former disk",
    "mixed": "over: `ROLLBACK_FAILED`, which says that the VM runs on a mixture",
    "foreign": "hands off: `ROLLBACK_FAILED`",
    "down": "over: `ROLLBACK_FAILED`, with the command that starts the VM",
    "gone": "over: `ROLLBACK_FAILED`",
}
MOVES: Mapping[type[Move], str] = {
    Wait: "wait, look again",
    MakeDisk: "make the disk from the snapshot",
    Stop: "power off",
    Deallocate: "deallocate",
    WriteDisks: "write the VM with our disk, under its etag",
    Start: "start",
}


def moves() -> str:
    """The next move of a restore, by what Azure shows."""
    rows = []
    for what, (sight, restore, now) in SIGHTS.items():
        entries = [ENTRY, DATA_ENTRY] if sight.vm is not None and sight.vm.data_disks else [ENTRY]
        move = planning.plan(sight, entries, restore, now=now)
        rows.append((what, ENDED[move.where] if isinstance(move, Finish) else MOVES[type(move)]))
    return table(("Azure shows", "next move"), rows)


# -- deleting ----------------------------------------------------------------------------------------------------------

PAST, FUTURE = (deleting.expiry_text(NOW + timedelta(hours=hours)) for hours in (-1, 1))


def _tags(role: str, *, expiry: str = "", execution: str = EXECUTION, name: str = "n") -> dict[str, str]:
    tags = own_tags(name=name, execution=execution, role=role, stack="s", copied={})
    return {**tags, **({model.TAG_EXPIRY: expiry} if expiry else {})}


LEFT: Mapping[str, tuple[dict[str, str], bool, bool]] = {  # tags, execution over, attached
    "its snapshot, no expiry, run going on": (_tags(CHECKPOINT), False, False),
    "its snapshot, no expiry, run over": (_tags(CHECKPOINT), True, False),
    "its snapshot, expiry not reached": (_tags(CHECKPOINT, expiry=FUTURE), True, False),
    "its snapshot, expired": (_tags(CHECKPOINT, expiry=PAST), True, False),
    "disk made for the VM, not in use, no expiry": (_tags(REPLACEMENT), True, False),
    "disk made for the VM, in use": (_tags(REPLACEMENT, expiry=PAST), True, True),
    "the VM's replaced disk, expired": (_tags(FAILED_DISK, expiry=PAST), True, False),
    "a copy of one of ours, under another name": (_tags(CHECKPOINT, expiry=PAST, name="other"), True, False),
    "one of another execution": (_tags(CHECKPOINT, expiry=PAST, execution="other"), True, False),
    "anything without our tags": ({}, True, False),
}


def deletions() -> str:
    """Who may delete what."""
    rows = []
    for what, (tags, over, attached) in LEFT.items():
        why = [
            deleting.may_delete("n", tags, deleter=deleter, execution=EXECUTION, now=NOW, over=over, attached=attached)
            for deleter in Deleter
        ]
        rows.append((what, *(f"no: {each}" if each else "**yes**" for each in why)))
    return table(("what", "the run", "keeper", "a person, naming the execution"), rows)


# -- times -------------------------------------------------------------------------------------------------------------


def constants() -> str:
    """The durations that are fixed in the code, and the defaults of those that are not."""
    rows = [
        ("a checkpoint counts as stuck", model.CHECKPOINT_TIME, "then nothing is installed"),
        ("patching", model.PATCH_TIME, "the command's own limit is 3 hours"),
        ("silence of the node", model.BOOT_TIME, "`NodeBootTime`; heartbeats come every 5 minutes"),
        ("… on Windows", model.WINDOWS_BOOT_TIME, "a cumulative update is finished while it boots"),
        ("a failing check is asked again", model.SETTLE_TIME, "`HealthSettleTime`"),
        ("a restore", model.RESTORE_TIME, "then the aim is a running VM, on whichever disk it has"),
        ("… of it kept for starting the VM again", planning.LATE, "the exchange of disks is not begun any more"),
        ("the keeper goes on with a restore", upkeep.LONGEST_RESTORE, "then a person has to"),
        ("the guard outlasts the next step by", model.GUARD_MARGIN, "and is taken over only if its run is over"),
        ("keeper's period", upkeep.EVERY, "its schedule"),
        ("records of runs", model.RECORD_LIFE, "then the table forgets them"),
    ]
    return table(("what", "how long", "why, or by what it is set"), [(a, _span(b), c) for a, b, c in rows])


def _span(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    if minutes >= 24 * 60 and minutes % (24 * 60) == 0:
        return f"{minutes // (24 * 60)} d"
    hours, rest = divmod(minutes, 60)
    return " ".join(part for part in (f"{hours} h" if hours else "", f"{rest} min" if rest else "") if part)


TRIES = {
    "make a disk": planning.MAKES,
    "power off or deallocate": planning.STOPS,
    "exchange the disks": planning.WRITES,
    "start": planning.STARTS,
}


def tries() -> str:
    """How often each move of a restore is made at most."""
    pause = f"{planning.START_PAUSE.total_seconds() / 60:g} minutes"
    tried = ", ".join(f"{what} {count} times" for what, count in TRIES.items())
    return f"{tried}, and then once every {pause} until the restore's deadline.\n"
