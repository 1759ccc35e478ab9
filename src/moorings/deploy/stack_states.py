"""What the status of a stack lets one do to it, and what CloudFormation means by refusing. Decisions alone."""

import re
from collections.abc import Sequence
from datetime import timedelta

from moorings.deploy.explain import Event, fault_of, remedy_for
from moorings.errors import Busy, Conflict, Misconfigured, Refused

GONE = "DELETE_COMPLETE"
ONLY_PLANNED = "REVIEW_IN_PROGRESS"  # has a name and plans, and nothing else
# Nothing of them was ever in use, and CloudFormation takes no update to them.
NEVER_STOOD = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED"})
STUCK = frozenset({"DELETE_FAILED", "UPDATE_ROLLBACK_FAILED"})  # until a person has mended something
NOTHING_TO_CHANGE = ("didn't contain changes", "No updates are to be performed")
# A deletion may be asked for while these are going on. Source: CloudFormation User Guide, "Delete a stack"
_DELETABLE = frozenset({"CREATE_IN_PROGRESS", "DELETE_IN_PROGRESS", ONLY_PLANNED})
_PLAN_GONE = frozenset({"ChangeSetNotFound", "ChangeSetNotFoundException", "InvalidChangeSetStatus"})
# The service has no error codes of its own for these. What does not exist may be a VPC that a parameter names, too.
_ABSENT = re.compile(r"\bStack[ :](?:with id \S+|\S+) does not exist")
_THERE = re.compile(r"\bStack \S+ already exists")


def is_made(status: str) -> bool:
    """Whether there is a stack, and not only its name."""
    return status not in {GONE, ONLY_PLANNED}


def require_settled(name: str, status: str) -> None:
    """Busy if the stack is being changed."""
    if status.endswith("_IN_PROGRESS") and status != ONLY_PLANNED:
        raise busy(name, status)


def stuck(name: str, status: str, events: Sequence[Event]) -> Conflict:
    """Why a stack that is `STUCK` takes no update, and the way out; `events`: oldest first."""
    fault = fault_of(name, status, events)
    finish = "finish its removal (`moorings destroy`), then deploy again"
    return Conflict(fault.message, remedy=finish if status == "DELETE_FAILED" else fault.remedy)


def require_deletable(name: str, status: str, *, protected: bool) -> None:
    """Busy if the stack is being changed; Refused, with the command that ends it, if it is protected."""
    if status.endswith("_IN_PROGRESS") and status not in _DELETABLE:
        raise busy(name, status)
    if protected:
        raise Refused(
            f"stack {name} is protected from termination",
            remedy=f"`aws cloudformation update-termination-protection --no-enable-termination-protection --stack-name"
            f" {name}`, then remove again",
        )


def busy(name: str, status: str) -> Busy:
    """Somebody else, or a run of ours that was interrupted, is at it."""
    return Busy(f"stack {name} is {status}", retry_after=timedelta(minutes=1), remedy="wait until it has settled")


def refusal(name: str, code: str, message: str) -> Misconfigured | Busy | Conflict | None:
    """What it means that CloudFormation refused a plan, a change or a deletion; None if that is not for us to say."""
    if code == "LimitExceededException":  # of stacks; elsewhere the code means "slow down"
        return Misconfigured(f"CloudFormation takes no more stacks: {message}", remedy=remedy_for("quota"))
    if _THERE.search(message):
        return Conflict(
            f"stack {name} was made meanwhile by somebody else", remedy="run the command again, which plans anew"
        )
    if is_absent(code, message):
        return Conflict(
            f"the plan of stack {name} holds no more: somebody deployed or dropped it meanwhile",
            remedy="run the command again, which plans anew",
        )
    if code != "ValidationError":
        return None
    if "_IN_PROGRESS" in message:  # somebody was faster
        return busy(name, "being changed")
    return Misconfigured(
        f"CloudFormation refuses {name}: {message}", remedy=remedy_for(message) or "correct the parameter it names"
    )


def is_absent(code: str, message: str) -> bool:
    """Whether a refusal says that the stack or the plan is not there (any more)."""
    return code in _PLAN_GONE or bool(_ABSENT.search(message))
