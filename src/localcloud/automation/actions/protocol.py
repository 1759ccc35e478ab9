"""What the engine hands to an action, and what an action answers.

An action never sleeps and never waits for a cloud: it answers `Again` and is asked once more, so that a thousand
executions need a handful of threads. Only single calls may block: one API request, one function invocation, one script.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Protocol

from localcloud.automation.document import Step
from localcloud.clock import Clock

# One attempt of these is real work that blocks a worker (a call, a function, a script), and never lasts longer than
# this. That takes real time whatever the clock's scale: neither these limits nor the steps' own are scaled.
REAL_WORK: Mapping[str, timedelta] = {
    "aws:assertAwsResourceProperty": timedelta(seconds=25),
    "aws:createTags": timedelta(seconds=25),
    "aws:executeAwsApi": timedelta(seconds=25),
    "aws:executeScript": timedelta(seconds=600),
    "aws:invokeLambdaFunction": timedelta(seconds=300),
}


class FailureStage(Enum):
    """Where a step failed, as `FailureDetails.FailureStage` says it."""

    INPUT_VALIDATION = "InputValidation"
    PRE_VERIFICATION = "PreVerification"
    INVOCATION = "Invocation"
    POST_VERIFICATION = "PostVerification"


class FailureType(Enum):
    """Why a step failed, as `FailureDetails.FailureType` says it."""

    ACTION = "Action"
    PERMISSION = "Permission"
    THROTTLING = "Throttling"
    VERIFICATION = "Verification"
    INTERNAL = "Internal"


class Surroundings(Protocol):
    """What a whole execution works with; the same object for all its steps."""

    @property
    def execution_id(self) -> str:
        """`automation:EXECUTION_ID`."""

    @property
    def account(self) -> str:
        """`global:ACCOUNT_ID`."""

    @property
    def region(self) -> str:
        """`global:REGION`."""

    @property
    def partition(self) -> str:
        """`global:AWS_PARTITION`."""

    @property
    def clock(self) -> Clock:
        """Now, and the scale of measured durations."""

    @property
    def attachments(self) -> Mapping[str, bytes]:
        """The document's attachments by name."""

    @property
    def script_environment(self) -> Mapping[str, str]:
        """AWS variables for a script's process: endpoint, Region, the role's credentials. No credentials without a
        role, as in the service."""

    def client(self, service: str) -> Any:
        """A boto3 client that acts as the execution's role, or as whoever started the execution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCall:
    """One attempt of one step."""

    step: Step
    inputs: Mapping[str, Any]  # resolved, whole-value references with their types
    attempt: int  # from 1
    deadline: datetime | None  # when this attempt times out, on the engine's clock (already scaled)
    surroundings: Surroundings


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The step succeeded: `root` is what `$` of user selectors means, `outputs` the predefined ones by name."""

    root: Any = None
    outputs: Mapping[str, Any] = field(default_factory=dict)
    next_step: str = ""  # what a branch chose
    variables: Mapping[str, Any] = field(default_factory=dict)  # new values of the execution's variables, by name


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """Not over: call `resume` with `state` after `after` (as the service measures it; the engine scales it)."""

    after: timedelta
    state: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Not over until somebody tells: a person's signal, a child's end. Only the engine's own actions answer this."""

    state: Any
    waiting: bool = False  # step and execution show Waiting meanwhile
    outputs: Mapping[str, Any] = field(default_factory=dict)  # readable meanwhile


Turn = Finished | Again | Held


class ActionFailed(Exception):
    """The attempt failed. `outputs` and `root` stay readable for later steps, as with a failed runCommand."""

    def __init__(
        self,
        message: str,
        *,
        stage: FailureStage = FailureStage.INVOCATION,
        kind: FailureType = FailureType.ACTION,
        timed_out: bool = False,
        root: Any = None,
        outputs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.stage = stage
        self.kind = kind
        self.timed_out = timed_out
        self.root = root
        self.outputs = dict(outputs or {})


class Action(Protocol):
    """One `aws:` action. Stateless: what lasts between two turns is in `Again.state`."""

    @property
    def name(self) -> str:
        """Such as "aws:sleep"."""

    @property
    def default_timeout(self) -> timedelta | None:
        """Of the step, if it has no timeoutSeconds; None: no limit."""

    def check(self, inputs: Mapping[str, Any]) -> None:
        """Raise ActionFailed (INPUT_VALIDATION) for inputs that the service refuses when the step starts."""

    def begin(self, call: StepCall) -> Turn:
        """The first turn of an attempt."""

    def resume(self, call: StepCall, state: Any) -> Turn:
        """A later turn."""

    def cancel(self, call: StepCall, state: Any) -> None:
        """The execution is cancelled, or the attempt timed out, while this step runs: stop what runs outside."""
