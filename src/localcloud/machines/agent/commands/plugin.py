"""What runs a step, and how it is told to end before its time."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from localcloud.machines.agent.commands.documents import Document, Step

KILLED = 137


class Stop:
    """Why a running step should end: it was cancelled, or the agent goes down and will take it up again."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self.shutdown = threading.Event()
        self._lock = threading.Lock()
        self._wake: Callable[[], None] = _nothing

    def cancel(self) -> None:
        """The command is to end now."""
        self.cancelled.set()
        self._call()

    def leave(self) -> None:
        """The agent ends; what runs is left running."""
        self.shutdown.set()
        self._call()

    def wakes(self, wake: Callable[[], None]) -> None:
        """Let `wake` be called when there is a reason to end, from another thread; at once if there is one already."""
        with self._lock:
            self._wake = wake
        if self.cancelled.is_set() or self.shutdown.is_set():
            self._call()

    def rests(self) -> None:
        """Nobody waits any more; once this returns, what `wakes` was given is not called again."""
        self.wakes(_nothing)

    def _call(self) -> None:
        with self._lock:
            self._wake()


class AgentStopped(Exception):
    """The agent went down while the step was running."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a plugin's run ended. `stopped`: "" or the status (Cancelled, TimedOut) for which it was killed."""

    code: int
    output: str = ""
    errors: str = ""
    stopped: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one step keeps its script and its output, what its script is told, and which document it belongs to."""

    document: Document
    folder: Path  # of the command: document/orchestration/<command-id>
    environment: dict[str, str]
    time_scale: float

    def script(self, step: Step, number: int) -> Path:
        """The folder of the script of one of the step's runs."""
        return self.folder / (_safe(step.name) if step.name != step.action else f"{number}.{_safe(step.action)}")

    def output(self, step: Step, number: int) -> Path:
        """The folder of one run's output."""
        name = step.name if step.name != step.action else f"{number}.{step.action}"
        return self.folder / _safe(step.action) / _safe(name)


class Plugin(Protocol):
    """Runs the steps of one action."""

    def run(self, step: Step, number: int, place: Place, stop: Stop) -> Ended:
        """Run the step's run `number` to its end; AgentStopped if the agent goes down meanwhile."""


def _safe(name: str) -> str:
    return "".join(letter for letter in name if letter.isalnum() or letter in "_-.")


def _nothing() -> None:
    """Nobody waits yet."""
