"""From evidence to verdict, from verdict to what happens next, and from a whole run to its outcome: pure and total.

An exit code alone decides nothing, in either direction.
"""

from moorings.patching.model import (
    Conclusion,
    Evidence,
    HealthReport,
    Judgement,
    Outcome,
    Phase,
    Restore,
    RollbackOn,
    Run,
    Verdict,
)
from moorings.patching.observed import CommandState

_DECIDE = "look at the node; keep it as it is (moorings patch gc --execution) or restore the checkpoint by hand"
_NOT_RUN = frozenset({CommandState.UNSENT.value, CommandState.UNDELIVERED.value})
_RAN = frozenset({CommandState.SUCCESS.value, CommandState.FAILED.value, CommandState.CUT_OFF.value})
NO_RESULT = 255
READY, NOT_READY, UNSEEN = "ready", "not ready", "unseen"
# Silence that may be the fault of the way to Systems Manager, or of its agent alone, says nothing of the server.
_VOUCHED = {
    READY: "but Azure says that the VM runs and that its own agent there reports: it may be well, and only not heard",
    UNSEEN: "and Azure could not be asked whether the VM is well",
}


def judge(evidence: Evidence) -> Judgement:
    """What the evidence says; every combination has an answer."""
    if not _something_ran(evidence):
        return _never_touched(evidence)
    if evidence.offline and evidence.guest in _VOUCHED:
        return _unknown(f"the node went silent{_since(evidence)}, {_VOUCHED[evidence.guest]}", evidence)
    if evidence.offline:
        return _bad(f"the node went silent{_since(evidence)} and did not come back", evidence)
    if evidence.after is None:
        pending = ", and its patch command has not ended" if evidence.install == CommandState.WAITING.value else ""
        return _unknown(f"nobody could look at the node afterwards: its health is not known{pending}", evidence)
    broken = newly_failing(evidence.before, evidence.after)
    if broken:
        checks = ", ".join(str(number) for number in broken)
        return _bad(f"health check {checks} passed before and fails now", evidence)
    return _healthy(evidence)


def _healthy(evidence: Evidence) -> Judgement:
    if evidence.install == CommandState.WAITING.value:
        return _unknown(
            "the node is healthy, but the patch command has not ended: it may yet change the node", evidence
        )
    if _untouched(evidence):
        return _untouched_verdict(evidence)
    if not evidence.scan_fresh:
        return _unknown("the node is healthy, but its patch state is not known: no fresh scan arrived", evidence)
    untold = evidence.installed_now is None
    if untold and evidence.install != CommandState.SUCCESS.value and (evidence.missing or evidence.failed):
        return _unknown(
            f"the node is healthy, but does not tell whether anything was installed{_detail(evidence)}", evidence
        )
    number = "it does not tell how many patches" if untold else _counted(evidence.installed_now or 0)
    return Judgement(
        verdict=Verdict.PATCHED,
        reason=f"patched ({number}), online, scanned afresh, healthy",
        warnings=_warnings(evidence),
    )


def newly_failing(before: HealthReport | None, after: HealthReport) -> tuple[int, ...]:
    """The checks, counted from 1, that fail now and did not fail before."""
    earlier = before.checks if before is not None else ()
    # A check that was asked before and gave no result now did not pass: what came before it hung, or the node died.
    now = after.checks + (NO_RESULT,) * (len(earlier) - len(after.checks))
    return tuple(
        number
        for number, code in enumerate(now, start=1)
        if code and not (number <= len(earlier) and earlier[number - 1])
    )


def wants_restore(verdict: Verdict, rollback_on: RollbackOn) -> bool:
    """Whether the VM is put back after this verdict."""
    if rollback_on is RollbackOn.NEVER:
        return False
    return verdict is Verdict.BAD or (verdict is Verdict.UNKNOWN and rollback_on is RollbackOn.BAD_OR_UNKNOWN)


def conclude(run: Run, *, install_began: bool, scanned: bool = False) -> Conclusion:
    """How a run ended, from its record. `install_began`: whether its patch step was started, as far as anybody can
    tell; it matters only for a run that was cut off before a verdict. `scanned`: a scan alone was wanted, and made.
    """
    if run.restore is not None:
        return _restored(run, run.restore)
    if run.judgement is not None:
        return _judged(run, run.judgement)
    began = install_began or run.phase in {Phase.PATCHING, Phase.JUDGED}
    if not began or run.refusal or run.checkpoint_failure:
        return _untouched_run(run, scanned=scanned)
    return Conclusion(
        outcome=Outcome.UNDECIDED,
        reason="the run was ended after patching began and before anybody judged its result"
        + ("; its patch command may still be at work" if _pending(run) else ""),
        remedy=_decide(run),
        wrong=True,
    )


def _pending(run: Run) -> bool:
    """Whether the patch command had not ended when it was last looked at, so that it may yet change the node."""
    return run.evidence is not None and run.evidence.install == CommandState.WAITING.value


def _decide(run: Run) -> str:
    """What a person does about a run that nobody decided."""
    if not _pending(run) or run.evidence is None or not run.evidence.install_id:
        return _DECIDE
    stop = f"aws ssm cancel-command --command-id {run.evidence.install_id} --instance-ids {run.node}"
    return f"wait until the patch command is over, or end it ({stop}); then {_DECIDE}"


def _untouched_run(run: Run, *, scanned: bool) -> Conclusion:
    if run.refusal:
        return _unchanged(run.refusal, remedy=run.remedy)
    if run.options.dry_run:
        return _unchanged("dry run: everything is in place to patch this VM", wrong=False)
    if run.options.operation == "Scan":
        return _scan_only(scanned)
    if run.checkpoint_failure or run.phase is Phase.CHECKPOINTING:
        why = run.checkpoint_failure or "its snapshots were not usable when the run ended"
        return _unchanged(
            f"not patched, because there is no usable checkpoint: {why}",
            remedy="start the run again; if the snapshot fails again, look at the disk in Azure",
        )
    return _unchanged("the run was ended before patching began", remedy="start the run again")


def _unchanged(reason: str, *, remedy: str = "", wrong: bool = True) -> Conclusion:
    return Conclusion(outcome=Outcome.UNCHANGED, reason=reason, remedy=remedy, wrong=wrong)


def _scan_only(scanned: bool) -> Conclusion:
    if scanned:
        return _unchanged("scanned; nothing was to be installed", wrong=False)
    return _unchanged(
        "the scan did not end well: the patch state is not known", remedy="look at the output of the step ScanOnly"
    )


def _judged(run: Run, judgement: Judgement) -> Conclusion:
    if judgement.verdict is Verdict.PATCHED:
        return Conclusion(outcome=Outcome.PATCHED, reason=judgement.reason, warnings=judgement.warnings, wrong=False)
    if judgement.verdict is Verdict.UNTOUCHED:
        return Conclusion(
            outcome=Outcome.UNCHANGED,
            reason=judgement.reason,
            warnings=judgement.warnings,
            wrong=not judgement.nothing_to_do,
            remedy="" if judgement.nothing_to_do else "look at the output of the step InstallPatches, then run again",
        )
    why = (
        "RollbackOn is Never"
        if wants_restore(judgement.verdict, RollbackOn.BAD_OR_UNKNOWN) and run.options.rollback_on is RollbackOn.NEVER
        else "RollbackOn does not include what cannot be seen"
    )
    if wants_restore(judgement.verdict, run.options.rollback_on):
        why = "the restore did not begin"
    return Conclusion(
        outcome=Outcome.UNDECIDED,
        reason=f"{judgement.reason}; the checkpoint is kept, nothing was restored ({why})",
        remedy=_decide(run),
        warnings=judgement.warnings,
        wrong=True,
    )


def _restored(run: Run, restore: Restore) -> Conclusion:
    why = f"{run.judgement.reason}; " if run.judgement is not None else ""
    warnings = run.judgement.warnings if run.judgement is not None else ()
    if restore.ended == "ours":
        came = {
            True: "the node is online again",
            False: "but the node has not come online",
            None: "nobody has waited for the node",
        }[restore.online]
        return Conclusion(
            outcome=Outcome.ROLLED_BACK,
            reason=f"{why}the VM runs on the disk made from the checkpoint; {came}",
            remedy="" if restore.online else "look at the VM's boot diagnostics",
            warnings=warnings,
            wrong=True,
        )
    ends = {
        "source": "the VM runs on the disk that was to be replaced",
        "mixed": "the VM runs, but Azure exchanged only some of its disks",
        "foreign": "somebody has changed the VM's disks meanwhile: hands off",
        "down": "the VM could not be started",
        "gone": "the VM is gone",
        "": "the restore has not come to its end; the keeper goes on with it",
    }
    return Conclusion(
        outcome=Outcome.ROLLBACK_FAILED,
        reason=f"{why}{ends[restore.ended]}; the checkpoint is kept" + (f" ({restore.note})" if restore.note else ""),
        remedy=_after_failed_restore(run, restore),
        warnings=warnings,
        wrong=True,
    )


def _after_failed_restore(run: Run, restore: Restore) -> str:
    vm = run.vm.id if run.vm is not None else "the VM"
    if restore.ended == "down":
        return f"az vm start --ids {vm}"
    if restore.ended == "foreign":
        return f"look at the VM's disks: az vm show --ids {vm}"
    return f"moorings patch explain {run.execution}"


def _something_ran(evidence: Evidence) -> bool:
    return evidence.install_began or evidence.install in _RAN


def _never_touched(evidence: Evidence) -> Judgement:
    """The patch command never reached the node: whatever is wrong with it now is not of our doing."""
    if evidence.after is None or evidence.offline or newly_failing(evidence.before, evidence.after):
        return _unknown(
            f"the patch command never began on the node{_detail(evidence)}, and the node is not well or not seen",
            evidence,
        )
    return Judgement(
        verdict=Verdict.UNTOUCHED,
        reason=f"the patch command never began on the node{_detail(evidence)}",
        warnings=_warnings(evidence),
    )


def _untouched(evidence: Evidence) -> bool:
    same_boot = (
        evidence.before is not None
        and evidence.after is not None
        and bool(evidence.after.boot)
        and evidence.before.boot == evidence.after.boot
    )
    # Without a fresh scan nobody knows what a patch command that ran has installed.
    known = evidence.scan_fresh or evidence.install in _NOT_RUN
    return same_boot and known and evidence.installed_now == 0 and not evidence.pending_reboot


def _untouched_verdict(evidence: Evidence) -> Judgement:
    if evidence.prepatch_failed:
        return Judgement(
            verdict=Verdict.UNTOUCHED,
            reason="PrePatchCommands failed, so nothing was installed",
            warnings=_warnings(evidence),
        )
    if evidence.install not in _NOT_RUN and evidence.scan_fresh and not (evidence.missing or evidence.failed):
        return Judgement(
            verdict=Verdict.UNTOUCHED,
            reason="nothing was to be installed: the node is compliant already",
            warnings=_warnings(evidence),
            nothing_to_do=True,
        )
    return Judgement(
        verdict=Verdict.UNTOUCHED,
        reason=f"nothing was installed; the node is healthy and was not restarted{_detail(evidence)}",
        warnings=_warnings(evidence),
    )


def _bad(reason: str, evidence: Evidence) -> Judgement:
    return Judgement(verdict=Verdict.BAD, reason=reason, warnings=_warnings(evidence))


def _unknown(reason: str, evidence: Evidence) -> Judgement:
    return Judgement(verdict=Verdict.UNKNOWN, reason=reason, warnings=_warnings(evidence))


def _warnings(evidence: Evidence) -> tuple[str, ...]:
    found = []
    if evidence.install not in {CommandState.SUCCESS.value, CommandState.UNSENT.value}:
        code = f", exit code {evidence.install_exit}" if evidence.install_exit is not None else ""
        found.append(f"the patch command did not end well ({evidence.install_detail or evidence.install}{code})")
    if evidence.failed:
        found.append(f"{_counted(evidence.failed)} could not be installed")
    if evidence.missing:
        found.append(f"{_counted(evidence.missing)} missing still")
    if evidence.pending_reboot:
        found.append(f"{_counted(evidence.pending_reboot)} in force only after a reboot")
    return tuple(found)


def _counted(number: int) -> str:
    return f"{number} patch" if number == 1 else f"{number} patches"


def _detail(evidence: Evidence) -> str:
    return f" ({evidence.install_detail})" if evidence.install_detail else ""


def _since(evidence: Evidence) -> str:
    return f" (last heard of at {evidence.last_ping:%H:%M:%S} UTC)" if evidence.last_ping else ""
