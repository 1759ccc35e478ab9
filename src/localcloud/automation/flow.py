"""What follows a step, and what it means for the whole execution: pure rules over values.

Source: Systems Manager User Guide, "Data elements and parameters" (nextStep, isEnd, onFailure, isCritical), and the
observed behaviour where it is silent: a recovery step does not clear the failure that led to it.
"""

from dataclasses import dataclass
from enum import Enum

from localcloud.automation.document import Step
from localcloud.automation.records import Status

_JUMP = "step:"
CONTINUE = "Continue"


@dataclass(frozen=True, slots=True)
class Go:
    """The flow goes on with this step."""

    step: str


class End(Enum):
    """The flow of a list of steps (the document's, or a loop's body) is over."""

    REACHED = "reached"  # by isEnd, or behind the last step
    ABORTED = "aborted"  # by a failure


Move = Go | End


def after(step: Step, status: Status, *, following: str, chosen: str = "") -> Move:
    """What comes after `step`, which ended with `status` after all its attempts.

    `following`: the next step of the same list, "" behind the last one. `chosen`: what a branch chose. A step that an
    operator stopped (CANCELLED) moves on like a failed one.
    """
    if status is Status.SUCCESS:
        return Go(chosen) if chosen else _onward(step, following)
    target = jump(step.on_failure)
    if target:
        return Go(target)
    return _onward(step, following) if step.on_failure == CONTINUE else End.ABORTED


def after_cancel(step: Step) -> Move:
    """What comes after `step` when the execution is cancelled while it runs."""
    target = jump(step.on_cancel)
    return Go(target) if target else End.ABORTED


def verdict(so_far: Status | None, step: Step, status: Status) -> Status | None:
    """The execution's failure after one more step; None: nothing critical has failed. The first one counts."""
    if so_far is not None or not step.critical or status is Status.SUCCESS:
        return so_far
    return Status.TIMED_OUT if status is Status.TIMED_OUT else Status.FAILED


def overall(failure: Status | None, *, cancelled: bool) -> Status:
    """The final status of an execution."""
    if cancelled:
        return Status.CANCELLED
    return failure or Status.SUCCESS


def possible_next(step: Step, *, following: str) -> tuple[str, ...]:
    """Where the flow may go after success, as `ValidNextSteps` shows it."""
    choices = step.inputs.get("Choices")
    if isinstance(choices, list):
        named = [str(choice.get("NextStep", "")) for choice in choices if isinstance(choice, dict)]
        named.append(str(step.inputs.get("Default", "")))
    else:
        named = []
    move = _onward(step, following)
    if isinstance(move, Go) and not step.inputs.get("Default"):
        named.append(move.step)
    return tuple(dict.fromkeys(name for name in named if name))


def jump(rule: str) -> str:
    """The step that an onFailure or onCancel rule names, or ""."""
    return rule.removeprefix(_JUMP) if rule.startswith(_JUMP) else ""


def _onward(step: Step, following: str) -> Move:
    if step.is_end:
        return End.REACHED
    target = step.next_step or following
    return Go(target) if target else End.REACHED
