"""Runs as their operator sees them: automation executions and their steps, and what the campaign over them needs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from moorings.patching.fleets import Start
from moorings.patching.model import Run

FAILED = frozenset({"Failed", "TimedOut", "CompletedWithFailure"})
CANCELLED = frozenset({"Cancelled", "Cancelling"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One automation execution. `status` is the service's word; `node` is empty where the service does not tell it."""

    id: str
    status: str
    over: bool
    parent: str = ""
    node: str = ""
    step: str = ""  # the one under way
    fleet: bool = False  # under rate control: a parent of others
    targets: tuple[str, ...] = ()  # the nodes that a parent was given
    began_at: datetime | None = None
    ended_at: datetime | None = None
    failure: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether the service counts it as an error."""
        return self.status in FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRun:
    """One run of a step. `within`: the loop's step, of which this is round `iteration`."""

    name: str
    action: str
    status: str
    began_at: datetime | None = None
    ended_at: datetime | None = None
    failure: str = ""
    within: str = ""
    iteration: int = 0
    outputs: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runbook:
    """What is started: a document's name, and its parameters as the API has them, without the node."""

    document: str
    parameters: Mapping[str, Sequence[str]]


class Automations(Protocol):
    """Systems Manager Automation, as whoever starts and follows runs needs it."""

    def start(self, runbook: Runbook, start: Start, *, token: str) -> str:
        """The id of the execution that was started, by this call or by an earlier one with the same `token`. Busy if
        the service cannot take another one now; Invalid if it does not take the parameters."""

    def find(self, execution: str) -> Execution | None:
        """One execution; None if the service does not know it (any more)."""

    def children(self, execution: str) -> list[Execution]:
        """The executions that a parent has started, by few calls: the service takes three a second."""

    def recent(self, document: str, *, most: int) -> list[Execution]:
        """The latest executions of a runbook that nobody else started for a fleet, newest first."""

    def steps(self, execution: str, *, failed_only: bool = False) -> list[StepRun]:
        """An execution's steps in their order."""

    def stop(self, execution: str) -> bool:
        """Cancel an execution and its children. False: it was over already."""


class Archive(Protocol):
    """The records of runs, for reading."""

    def runs(self, executions: Iterable[str]) -> dict[str, Run]:
        """The records of these executions, as far as there are any."""

    def of_node(self, node: str) -> list[Run]:
        """All records of a node, newest first. Misconfigured if the stack is older than the index that this takes."""

    def with_leftovers(self) -> list[Run]:
        """All records that know of snapshots or disks of ours which may still exist. Reads the whole table."""
