"""What the runbook gets back: flat objects, because selectors and branches read them. Nothing in them is secret."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from moorings.patching.checking import Finding, State
from moorings.patching.model import Outcome, Run
from moorings.patching.watching import Look, next_of

Answer = dict[str, Any]

LONGEST_PAUSE = timedelta(seconds=120)
# While a VM is put back the runbook's own pause is short, and fixed: the VM may be down.
RESTORE_PAUSE, LONGEST_RESTORE_PAUSE = timedelta(seconds=10), timedelta(seconds=60)
MOST_TEXT = 1000


def described(run: Run, *, has_prepatch: bool) -> Answer:
    """For `describe`: whether to go on, and with which fencing number."""
    vm = run.vm
    return {
        "Proceed": not run.refusal,
        "ScanOnly": run.options.operation == "Scan" and not run.refusal,
        "HasPrePatch": has_prepatch,
        "Reason": run.refusal[:MOST_TEXT],
        "Remedy": run.remedy[:MOST_TEXT],
        "Fence": run.fence,
        "VmName": vm.name if vm else "",
        "ResourceGroup": vm.group if vm else "",
        "VmId": run.vm_guid,
    }


def checkpointed(run: Run) -> Answer:
    """For `checkpoint` and `checkpoint-status`."""
    failed = bool(run.refusal or run.checkpoint_failure)
    usable = not failed and bool(run.checkpoint) and all(entry.usable for entry in run.checkpoint)
    wanted = not failed and not run.options.dry_run
    return {
        "Proceed": wanted,
        "Done": usable,
        "Failed": failed or not wanted,
        "Usable": usable,
        "Reason": (run.checkpoint_failure or run.refusal)[:MOST_TEXT],
    }


def watched(look: Look, *, elapsed: timedelta) -> Answer:
    """For `evidence`: whether to look again, and after how long besides the runbook's own pause."""
    return {
        "Done": look.done,
        "Offline": look.offline,
        "Note": look.note[:MOST_TEXT],
        "More": _iso(pause(elapsed)),
    }


def pause(elapsed: timedelta) -> timedelta:
    """How long to wait besides the runbook's own pause: a loop has 100 rounds, a long installation hours."""
    return min(max(timedelta(0), elapsed / 8), LONGEST_PAUSE)


def judged(run: Run) -> Answer:
    """For `judge`."""
    assert run.judgement is not None, "judged before"
    return {
        "Done": True,
        "Verdict": run.judgement.verdict.value,
        "Next": next_of(run),
        "Reason": run.judgement.reason[:MOST_TEXT],
    }


def restored(run: Run, *, now: datetime) -> Answer:
    """For `restore`: over when the VM runs, or when nothing more will be tried."""
    state = run.restore
    ended = state.ended if state else ""
    since = (state.down_at or state.began_at) if state else now
    return {
        "Done": ended == "ours",
        "Failed": bool(ended) and ended != "ours",
        "More": _iso(restore_pause(now - since)),
        "Note": (state.note if state else "")[:MOST_TEXT],
    }


def restore_pause(elapsed: timedelta) -> timedelta:
    """How long to wait besides the runbook's own pause: not at all in the first two minutes after the VM was stopped
    (or, before that, after the restore began), then so long that 100 rounds last beyond the restore's deadline."""
    return min(max(elapsed / 12, RESTORE_PAUSE), LONGEST_RESTORE_PAUSE) - RESTORE_PAUSE


def verified(run: Run, *, now: datetime) -> Answer:
    """For `verify`: over when the node is back, or has had its time, however long that is."""
    state = run.restore
    over = state is None or state.ended != "ours" or state.online is not None
    since = (state.ended_at if state else None) or now
    return {"Done": over, "More": _iso(pause(now - since)), "Online": bool(state and state.online)}


def reported(run: Run) -> Answer:
    """For `report`: the outputs of the runbook. `Wrong` is text, so that a missing answer differs from both."""
    assert run.conclusion is not None, "concluded before"
    state = run.restore
    back = run.conclusion.outcome is Outcome.ROLLED_BACK
    os_entry = next((entry for entry in run.checkpoint if entry.lun is None), None)
    kept = run.conclusion.outcome not in {Outcome.PATCHED, Outcome.UNCHANGED} or run.options.keep_snapshot_hours > 0
    snapshots = [one for one in run.leftovers if kept and "/snapshots/" in one.lower()]
    return {
        "Outcome": run.conclusion.outcome.value,
        "Reason": run.conclusion.reason[:MOST_TEXT],
        "Remedy": run.conclusion.remedy[:MOST_TEXT],
        "Wrong": "true" if run.conclusion.wrong else "false",
        "Snapshots": snapshots,
        "RestoredDisk": os_entry.replacement_id if back and os_entry else "",
        "FailedDisk": os_entry.source_id if back and os_entry else "",
        "Evidence": evidence_text(run),
        "Unfinished": bool(state and not state.ended),
    }


def overtaken(why: str) -> Answer:
    """For a call that somebody else has overtaken, and whose answer nobody waits for."""
    return {"Overtaken": True, "Reason": why[:MOST_TEXT]}


def checked(findings: Iterable[Finding]) -> Answer:
    """For `check`: what was looked at, and whether a run could begin and end well."""
    found = [{**asdict(each), "state": each.state.value} for each in findings]
    return {"Well": not any(each["state"] == State.WRONG.value for each in found), "Findings": found}


def evidence_text(run: Run) -> str:
    """The evidence, the verdict and the warnings as one line of JSON."""
    found: dict[str, Any] = {}
    if run.evidence is not None:
        found["evidence"] = asdict(run.evidence)
    if run.judgement is not None:
        found["verdict"] = run.judgement.verdict.value
        found["reason"] = run.judgement.reason
    if run.conclusion is not None and run.conclusion.warnings:
        found["warnings"] = list(run.conclusion.warnings)
    return json.dumps(found, default=_plain, separators=(",", ":"), sort_keys=True)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    raise TypeError(f"{type(value).__name__} is not meant for JSON")


def _iso(duration: timedelta) -> str:
    return f"PT{int(duration.total_seconds())}S"
