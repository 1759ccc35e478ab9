"""How an automation execution looks: rows, one JSON object, and the steps while they run."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.live import Live
from rich.text import Text

from moorings.cli.listing import listing
from moorings.cli.talk import Talk
from moorings.cli.terminal import clean

if TYPE_CHECKING:
    from localcloud.automation.records import AutomationExecution, StepExecution

_STYLES = {
    "Success": "green",
    "Failed": "red",
    "TimedOut": "red",
    "Cancelled": "yellow",
    "Cancelling": "yellow",
    "InProgress": "cyan",
    "Waiting": "magenta",
    "Pending": "dim",
}
_MARKS = {"Success": "done", "Failed": "failed", "TimedOut": "failed"}
_SHOWN = 160  # characters of a failure in a live table; the end shows all of it


class Screen:
    """The steps of a running execution: a live table in a terminal, a line for each that ended in a pipe."""

    def __init__(self, talk: Talk, *, watch: bool) -> None:
        self.talk = talk
        self._watch = watch
        self._live: Live | None = None
        self._told: set[str] = set()

    def __enter__(self) -> Self:
        if self._watch and self.talk.live:
            self._live = Live(console=self.talk.console, refresh_per_second=8, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, execution: "AutomationExecution", steps: Sequence["StepExecution"]) -> None:
        """The steps as they are now."""
        if self._live is not None:
            rows = [row_of(step, execution, longest=_SHOWN) for step in steps]
            self._live.update(listing(("STEP", "ACTION", "STATUS", ">SECONDS", "WHAT HAPPENED"), rows))
        elif self._watch:
            for step in steps:
                if step.status.over and step.id not in self._told:
                    self._told.add(step.id)
                    self.talk.say(
                        f"{_named(step)}  {step.status.value}  {_seconds(step.started_at, step.ended_at)}",
                        mark=_MARKS.get(step.status.value, "note"),
                    )

    def ask(self, question: str) -> bool | None:
        """A yes or no of whoever sits at the terminal; None if nobody does."""
        if not self.talk.live:
            return None
        if self._live is not None:
            self._live.stop()
        try:
            return self.talk.ask(question)
        finally:
            if self._live is not None:
                self._live.start()


def row_of(step: "StepExecution", execution: "AutomationExecution", *, longest: int = 0) -> tuple[str | Text, ...]:
    """Step, action, status, seconds, failure."""
    status = step.status.value
    said = step.failure.message if step.failure else ""
    if longest and len(said) > longest:
        said = said[:longest] + "…"
    ended = step.ended_at or execution.ended_at
    return (
        _named(step),
        step.step.action,
        Text(status, _STYLES.get(status, "")),
        _seconds(step.started_at, ended) if step.started_at else "",
        clean(said),
    )


def outputs_of(execution: "AutomationExecution") -> list[tuple[str, str]]:
    """The document's outputs as text."""
    return [(name, ", ".join(texts)) for name, texts in _wire(execution.outputs).items()]


def as_json(execution: "AutomationExecution", steps: Sequence["StepExecution"]) -> dict[str, Any]:
    """An execution as `--json` shows it; values as the API has them."""
    return {
        "execution": execution.id,
        "document": execution.document_name,
        "status": execution.status.value,
        "failure": execution.failure_message,
        "parameters": _wire(execution.parameters),
        "outputs": _wire(execution.outputs),
        "started_at": execution.started_at,
        "ended_at": execution.ended_at,
        "steps": [_step_json(step) for step in steps],
    }


def _step_json(step: "StepExecution") -> dict[str, Any]:
    return {
        "step": step.name,
        "action": step.step.action,
        "status": step.status.value,
        "attempts": step.attempts,
        "loop": {"step": step.parent.name, "iteration": step.parent.iteration} if step.parent else None,
        "started_at": step.started_at,
        "ended_at": step.ended_at,
        "outputs": _wire(step.outputs),
        "failure": {
            "message": step.failure.message,
            "stage": step.failure.stage.value,
            "type": step.failure.kind.value,
        }
        if step.failure
        else None,
    }


def _wire(values: Mapping[str, Any]) -> dict[str, list[str]]:
    from localcloud.automation.values import to_wire

    return {name: to_wire(value) for name, value in values.items()}


def _named(step: "StepExecution") -> str:
    return f"{step.parent.name}[{step.parent.iteration}].{step.name}" if step.parent else step.name


def _seconds(began: datetime | None, ended: datetime | None) -> str:
    return f"{(ended - began).total_seconds():.1f}" if began and ended else ""
