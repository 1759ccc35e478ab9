"""The story of a run, from its record and its steps: what happened when, the evidence, the verdict, why, what next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from moorings.cli.output import Results
from moorings.cli.patch.rows import outcome_word, standing_json, style_of
from moorings.patching.executions import StepRun
from moorings.patching.model import Evidence, HealthReport, Outcome, Phase, Restore, Run, Verdict
from moorings.patching.standing import Standing, short_name

_HERE = "moorings patch explain"  # who reads a story needs not be sent to it
_VERDICTS = {
    Verdict.PATCHED: "the node is patched and well",
    Verdict.UNTOUCHED: "nothing was installed, the node is as it was",
    Verdict.BAD: "patching harmed the node",
    Verdict.UNKNOWN: "nobody could see how the node is",
}
_OUTCOMES = {
    Outcome.PATCHED: "patches are installed, and the checkpoint was released",
    Outcome.UNCHANGED: "the node runs as before, on the disk that it had",
    Outcome.ROLLED_BACK: "the VM runs on a disk made from the checkpoint; what was written since is on the former disk",
    Outcome.ROLLBACK_FAILED: "the VM could not be put back; the checkpoint is kept until somebody removes it",
    Outcome.UNDECIDED: "nothing was put back; the checkpoint is kept until somebody removes it",
}
_BEFORE = "nothing was installed unless that begins this moment; the checkpoint is removed"
_RECORDED = "the keeper records the outcome and removes what is to be removed"
# What becomes of a VM whose run is cancelled in that phase; whoever is not here is recorded, no more.
_AFTER_CANCEL = {
    Phase.DESCRIBED: _BEFORE,
    Phase.CHECKPOINTING: _BEFORE,
    Phase.CHECKPOINTED: _BEFORE,
    Phase.PATCHING: "a command that runs on the node ends by itself; nobody judges it, so the checkpoint is kept",
    Phase.JUDGED: "the keeper records the outcome; nothing is restored any more",
    Phase.RESTORING: "the keeper goes on until the VM runs, and records on which disk",
    Phase.RESTORED: "the VM runs again; the keeper waits for the node and records the outcome",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One run, with the steps that failed (or all, where they were asked for)."""

    standing: Standing
    steps: tuple[StepRun, ...] = ()

    @property
    def run(self) -> Run | None:
        """The record."""
        return self.standing.run

    @property
    def failed_steps(self) -> list[StepRun]:
        """The steps that did not end well, but the one whose failing is only the run's final status."""
        return [step for step in self.steps if step.status in {"Failed", "TimedOut"} and step.name != "FailIfWrong"]


def consequence(run: Run | None) -> str:
    """What becomes of a node whose run is cancelled now."""
    if run is None or run.refusal or run.vm is None:
        return "nothing was touched"
    return _AFTER_CANCEL.get(run.phase, _RECORDED)


def evidence_rows(evidence: Evidence) -> list[tuple[str, str]]:
    """The evidence in words, in the order in which it is weighed."""
    code = f"exit code {evidence.install_exit}" if evidence.install_exit is not None else ""
    told = ", ".join(part for part in (evidence.install_detail, code) if part)
    detail = f" ({told})" if told else ""
    installed = "it does not tell how many" if evidence.installed_now is None else evidence.installed_now
    rows = [
        ("patch command", f"{evidence.install}{detail}" + ("" if evidence.install_began else "; it never began")),
        ("node", _node_words(evidence)),
        ("checks before", _health_words(evidence.before)),
        ("checks after", _health_words(evidence.after)),
        ("boot", _boot_words(evidence)),
        ("scan afterwards", "fresh" if evidence.scan_fresh else "none arrived"),
        ("patches", f"{installed} installed by this run, {evidence.missing} missing, "
                    f"{evidence.failed} failed, {evidence.pending_reboot} wait for a reboot"),
    ]  # fmt: skip
    return [*rows, *([("pre-patch commands", "failed")] if evidence.prepatch_failed else [])]


def restore_words(restore: Restore) -> str:
    """What a restore did."""
    moves = (
        (restore.makes, "disk made"),
        (restore.stops, "stop"),
        (restore.writes, "write"),
        (restore.starts, "start"),
    )
    told = ", ".join(
        f"{number} {what}{'s' if number > 1 and what != 'disk made' else ''}" for number, what in moves if number
    )
    ends = {
        "ours": "runs on the checkpoint's disk", "source": "runs on the former disk",
        "foreign": "has disks that somebody else gave it", "down": "does not run", "gone": "is gone",
        "mixed": "runs with only some of its disks exchanged", "": "is still being put back",
    }  # fmt: skip
    note = f"; {restore.note}" if restore.note else ""
    return f"the VM {ends.get(restore.ended, restore.ended)}{f' ({told})' if told else ''}{note}"


def verdict_words(verdict: Verdict) -> str:
    """What a verdict means."""
    return _VERDICTS[verdict]


def outcome_words(outcome: str) -> str:
    """What an outcome means; empty for what is none."""
    return next((words for known, words in _OUTCOMES.items() if known.value == outcome), "")


def next_words(story: Story, now: datetime) -> list[str]:
    """What to do, if anything is to be done."""
    standing, run = story.standing, story.run
    told = [standing.remedy] if standing.remedy and not standing.remedy.startswith(_HERE) else []
    if run is not None and run.leftovers and run.expires_at is None and standing.over and not standing.unfinished:
        told.append(f"once it is not needed any more: moorings patch gc --execution {run.execution}")
    if standing.unfinished:
        told.append("nothing yet: the keeper works on it, every minute")
    if run is not None and run.expires_at is not None and run.leftovers:
        ends = f"from {run.expires_at:%Y-%m-%d %H:%M} UTC on" if run.expires_at > now else "as it expires"
        what = f"the keeper removes what is left in Azure ({len(run.leftovers)}) {ends}"
        told.append(what if told else f"nothing is to be done; {what}")
    return told or ["nothing is to be done"]


def show_story(results: Results, story: Story, now: datetime) -> None:
    """The whole story, as text."""
    standing, run = story.standing, story.run
    vm = f" on VM {run.vm.name} in {run.vm.group}" if run and run.vm else ""
    results.prose(f"{standing.node}{vm}", style="bold")
    results.prose(
        f"execution {standing.execution.id if standing.execution else run.execution if run else ''}", style="dim"
    )
    results.line()
    results.prose(f"{outcome_word(standing)}  {outcome_words(standing.outcome)}".rstrip(), style=style_of(standing))
    if standing.reason:
        results.prose(f"  because: {standing.reason}")
    for warning in standing.warnings:
        results.prose(f"  note: {warning}", style="yellow")
    if run is not None:
        _show_record(results, run)
    _show_steps(results, story.failed_steps)
    results.line()
    for line in next_words(story, now):
        sentence, colon, command = line.partition(": moorings ")
        results.prose(f"next: {sentence}{':' if colon else ''}")
        if colon:
            results.line(f"  moorings {command}", style="bold")  # to be copied, so not broken


def _show_record(results: Results, run: Run) -> None:
    if run.timeline:
        results.line()
        rows = [(f"{each.at:%H:%M:%S}", _since(run.began_at, each.at), each.told) for each in run.timeline]
        results.table(("TIME (UTC)", ">AFTER", "WHAT HAPPENED"), rows)
    if run.evidence is not None:
        results.line()
        results.table(("EVIDENCE", ""), evidence_rows(run.evidence))
    if run.judgement is not None:
        results.line()
        verdict = run.judgement.verdict
        results.prose(f"verdict {verdict.value}: {verdict_words(verdict)} ({run.judgement.reason})")
    if run.restore is not None:
        results.prose(f"restore: {restore_words(run.restore)}")
    for each in run.leftovers:
        results.prose(f"still there, as far as we know: {short_name(each)}")


def _show_steps(results: Results, failed: Sequence[StepRun]) -> None:
    if not failed:
        return
    results.line()
    rows = [(step_name(step), step.status, step.failure) for step in failed]
    results.table(("STEP THAT FAILED", "STATUS", "SAYS"), rows)


def step_name(step: StepRun) -> str:
    """A step's name, with the loop and its round."""
    return f"{step.within}[{step.iteration}].{step.name}" if step.within else step.name


def story_json(story: Story, now: datetime) -> dict[str, Any]:
    """A story as `--json` shows it."""
    run = story.run
    told: dict[str, Any] = {**standing_json(story.standing, now), "next": next_words(story, now)}
    if run is not None:
        told |= {
            "timeline": [{"at": each.at, "what": each.told} for each in run.timeline],
            "evidence": dict(evidence_rows(run.evidence)) if run.evidence else {},
            "verdict": run.judgement.verdict.value if run.judgement else "",
            "verdict_reason": run.judgement.reason if run.judgement else "",
            "restore": restore_words(run.restore) if run.restore else "",
            "checkpoint": [
                {"snapshot": one.snapshot_id, "disk": one.source_id, "usable": one.usable} for one in run.checkpoint
            ],
            "leftovers": list(run.leftovers),
            "kept_until": run.expires_at,
        }
    told["failed_steps"] = [
        {"step": step_name(step), "status": step.status, "says": step.failure} for step in story.failed_steps
    ]
    return told


def _since(began: datetime, moment: datetime) -> str:
    return f"{(moment - began).total_seconds():,.0f} s"


def _node_words(evidence: Evidence) -> str:
    heard = f", last heard of at {evidence.last_ping:%H:%M:%S} UTC" if evidence.last_ping else ""
    guest = f"; Azure's own agent on it: {evidence.guest}" if evidence.guest else ""
    return ("went silent" if evidence.offline else "answers" if evidence.after else "nobody could look") + heard + guest


def _health_words(report: HealthReport | None) -> str:
    if report is None:
        return "not known"
    if not report.checks:
        return "no checks given; the node answered"
    failing = [f"{number} (exit {code})" for number, code in enumerate(report.checks, start=1) if code]
    return f"{len(report.checks) - len(failing)} of {len(report.checks)} pass" + (
        f"; failing: {', '.join(failing)}" if failing else ""
    )


def _boot_words(evidence: Evidence) -> str:
    if evidence.before is None or evidence.after is None:
        return "not known"
    return "the same as before" if evidence.before.boot == evidence.after.boot else "restarted"
