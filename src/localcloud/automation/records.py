"""Automation executions and their steps as values: what the engine shows of them, to APIs, consoles and tests."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from localcloud.automation.actions.protocol import FailureStage, FailureType
from localcloud.automation.document import Step


class Status(Enum):
    """The statuses of executions and steps. EXITED is a loop's that an inner jump has left."""

    PENDING = "Pending"
    IN_PROGRESS = "InProgress"
    WAITING = "Waiting"
    SUCCESS = "Success"
    TIMED_OUT = "TimedOut"
    CANCELLING = "Cancelling"
    CANCELLED = "Cancelled"
    FAILED = "Failed"
    EXITED = "Exited"

    @property
    def over(self) -> bool:
        """Whether nothing follows this status."""
        return self in _OVER


_OVER = frozenset({Status.SUCCESS, Status.TIMED_OUT, Status.CANCELLED, Status.FAILED, Status.EXITED})


class Mode(Enum):
    """Whether a run goes on by itself, or waits for StartStep before each step of the document."""

    AUTO = "Auto"
    INTERACTIVE = "Interactive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Where and why a step failed."""

    message: str
    stage: FailureStage
    kind: FailureType


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentStep:
    """The pass of a loop to which a step's run belongs."""

    id: str
    name: str
    action: str
    iteration: int  # from 1
    iterator_value: str  # as text; "" in a do-while loop


@dataclass(frozen=True, slots=True, kw_only=True)
class StepExecution:
    """One run of one step. A step that was never reached is PENDING and has no start."""

    id: str
    step: Step
    status: Status = Status.PENDING
    started_at: datetime | None = None
    ended_at: datetime | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)  # resolved
    plain_inputs: bool = False  # a rate-control parent shows its steps' inputs as text, not as JSON
    outputs: Mapping[str, Any] = field(default_factory=dict)  # predefined and declared ones
    failure: Failure | None = None
    attempts: int = 0
    next_step: str = ""
    valid_next_steps: tuple[str, ...] = ()
    parent: ParentStep | None = None

    @property
    def name(self) -> str:
        """The step's name."""
        return self.step.name


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetCounts:
    """How far a rate-controlled execution has come, in targets."""

    total: int
    started: int
    succeeded: int
    failed: int  # Failed or TimedOut
    cancelled: int
    timed_out: int  # of `failed`

    @property
    def completed(self) -> int:
        """Children that are over, however they ended."""
        return self.succeeded + self.failed + self.cancelled


@dataclass(frozen=True, slots=True, kw_only=True)
class Targeting:
    """The rate control of an execution, as it was asked for, and what it came to."""

    parameter_name: str = ""
    targets: tuple[Mapping[str, Any], ...] = ()
    target_maps: tuple[Mapping[str, Any], ...] = ()
    max_concurrency: str = ""
    max_errors: str = ""
    resolved: tuple[str, ...] = ()
    counts: TargetCounts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AutomationExecution:
    """One execution without its steps, at one moment."""

    id: str
    document_name: str
    document_version: str
    status: Status
    mode: Mode
    executed_by: str
    started_at: datetime
    ended_at: datetime | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)  # every parameter with its value, defaults too
    variables: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)  # "Step.Output" → value
    failure_message: str = ""
    current_step: str = ""
    current_action: str = ""
    parent_id: str = ""
    target: str = ""
    targeting: Targeting | None = None
    tags: tuple[tuple[str, str], ...] = ()
