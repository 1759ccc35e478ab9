"""How runs look: rows, words and colours for people, objects for `--json`. Nothing here calls anything."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.text import Text

from moorings.cli.output import Results, counted
from moorings.patching.campaign import View
from moorings.patching.model import Phase, Run
from moorings.patching.standing import NOT_BEGUN, Standing

COLUMNS = ("NODE", "VM", "OUTCOME", ">SECONDS", "REASON")
OUTCOME_STYLES: Mapping[str, str] = {
    "PATCHED": "green",
    "UNCHANGED": "cyan",
    "ROLLED_BACK": "yellow",
    "ROLLBACK_FAILED": "bold red",
    "UNDECIDED": "magenta",
}
# What each phase is called while it lasts, and how many of the track's cells it fills.
_PHASES: Mapping[Phase, tuple[str, int]] = {
    Phase.DESCRIBED: ("VM proved", 1),
    Phase.CHECKPOINTING: ("taking checkpoint", 2),
    Phase.CHECKPOINTED: ("checkpoint usable", 3),
    Phase.PATCHING: ("patching", 4),
    Phase.JUDGED: ("judged", 5),
    Phase.RESTORING: ("restoring", 6),
    Phase.RESTORED: ("restored", 6),
    Phase.RELEASING: ("releasing", 6),
    Phase.OVER: ("over", 7),
}
CELLS = 7
_GOING_BACK = frozenset({Phase.RESTORING, Phase.RESTORED})


def outcome_word(standing: Standing) -> str:
    """The outcome; while there is none, what stands in its place."""
    if standing.outcome:
        return standing.outcome
    if standing.status == NOT_BEGUN:
        return "not begun"
    return standing.status if standing.over else phase_word(standing)


def phase_word(standing: Standing) -> str:
    """What goes on with a node."""
    run = standing.run
    if standing.execution is None or standing.status == "Pending":
        return "waiting"
    if run is None:
        return "asking which VM"
    if run.refusal and run.phase is Phase.DESCRIBED:
        return "left alone"
    return _PHASES[run.phase][0]


def style_of(standing: Standing) -> str:
    """The colour of a node's outcome, or of what goes on."""
    if standing.over:
        return OUTCOME_STYLES.get(standing.outcome, "red" if standing.wrong else "green")
    if standing.run is not None and standing.run.phase in _GOING_BACK:
        return "yellow"
    return "blue" if standing.execution else "dim"


def track(standing: Standing) -> Text:
    """How far a node is, as cells."""
    full = CELLS if standing.over else _PHASES[standing.run.phase][1] if standing.run else int(bool(standing.execution))
    return Text.assemble(("■" * full, style_of(standing)), ("□" * (CELLS - full), "dim"))


def row_of(standing: Standing, now: datetime) -> tuple[str | Text, ...]:
    """A row of the final table."""
    lasted = standing.lasted(now)
    return (
        standing.node,
        standing.vm,
        Text(outcome_word(standing), style_of(standing)),
        f"{lasted.total_seconds():,.0f}" if lasted is not None else "",
        reason_of(standing),
    )


def reason_of(standing: Standing) -> str:
    """Why, with warnings behind it."""
    return "; ".join([standing.reason, *(f"note: {warning}" for warning in standing.warnings)]) if standing.over else ""


def show_view(results: Results, view: View, now: datetime) -> None:
    """The final table, a line that sums it up, and what to do next."""
    results.table(COLUMNS, [row_of(node, now) for node in view.nodes])
    results.line()
    results.prose(summed_up(view), style="red" if view.wrong else "green")
    for line in next_steps(view):
        results.line(f"  next: {line}")


def summed_up(view: View) -> str:
    """How many nodes ended how."""
    counts: dict[str, int] = {}
    for node in view.nodes:
        word = outcome_word(node) if node.over or node.execution is None else "under way"
        counts[word] = counts.get(word, 0) + 1
    parts = [f"{number} {word}" for word, number in sorted(counts.items(), key=lambda each: -each[1])]
    told = f"{counted(len(view.nodes), 'node')}: {', '.join(parts)}" if parts else "no nodes"
    return f"{told}; {view.stopped}" if view.stopped else told


def next_steps(view: View) -> list[str]:
    """What to do about nodes that are not well: a command for each execution, at most three."""
    wrong = [node for node in view.nodes if node.wrong and node.execution is not None]
    told = [f"moorings patch explain {node.execution.id}" for node in wrong[:3] if node.execution]
    return [*told, *([f"… and {len(wrong) - 3} more"] if len(wrong) > 3 else [])]


def view_json(view: View, now: datetime) -> dict[str, Any]:
    """A view as `--json` shows it."""
    return {
        "executions": list(view.executions),
        "over": view.over,
        "wrong": view.wrong,
        "errors": view.errors,
        "allowed_errors": view.allowed,
        "stopped": view.stopped,
        "nodes": [standing_json(node, now) for node in view.nodes],
    }


def standing_json(standing: Standing, now: datetime) -> dict[str, Any]:
    """A node as `--json` shows it."""
    lasted = standing.lasted(now)
    return {
        "node": standing.node,
        "vm": standing.run.vm.id if standing.run and standing.run.vm else "",
        "execution": standing.execution.id if standing.execution else "",
        "status": standing.status,
        "phase": standing.run.phase.value if standing.run else "",
        "outcome": standing.outcome,
        "wrong": standing.wrong,
        "reason": standing.reason if standing.over else "",
        "remedy": standing.remedy,
        "warnings": list(standing.warnings),
        "began_at": standing.began_at,
        "ended_at": standing.ended_at,
        "seconds": round(lasted.total_seconds(), 1) if lasted is not None else None,
    }


def kept_until(run: Run, now: datetime) -> str:
    """Until when a run's leftovers are kept."""
    if run.expires_at is None:
        return "somebody removes it"
    return f"{run.expires_at:%Y-%m-%d %H:%M} UTC" if run.expires_at > now else "about to go"


def clock_time(seconds: float) -> str:
    """`0:42`, `12:05`, `1:02:07`."""
    whole = max(0, int(seconds))
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
