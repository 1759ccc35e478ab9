"""What people send to a running execution, and what the engine tells an action that is held."""

from dataclasses import dataclass
from enum import Enum

from localcloud.automation.records import AutomationExecution


class SignalType(Enum):
    """The kinds of SendAutomationSignal."""

    APPROVE = "Approve"
    REJECT = "Reject"
    START_STEP = "StartStep"
    STOP_STEP = "StopStep"
    RESUME = "Resume"
    REVOKE = "Revoke"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A signal and who sent it."""

    type: SignalType
    step_name: str = ""
    step_execution_id: str = ""
    comment: str = ""
    sender_arn: str = ""
    sender_may_all: bool = False  # the operator: any approver's decision is his to make


class StopType(Enum):
    """How an execution is to be stopped."""

    CANCEL = "Cancel"
    COMPLETE = "Complete"  # after the step that runs


@dataclass(frozen=True, slots=True)
class Told:
    """A signal for the step that waits."""

    signal: Signal


@dataclass(frozen=True, slots=True)
class ChildOver:
    """A child execution is over."""

    child: AutomationExecution


Message = Told | ChildOver
