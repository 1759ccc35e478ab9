"""What state a command, or its invocation on one node, is in: pure rules, no clock and no store.

Source: Systems Manager User Guide, "Understanding command statuses"; the members StatusDetails of Command and
CommandInvocation in the service's model. Where these leave a case open, `aggregate` says what is chosen here.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum


class Detail(StrEnum):
    """StatusDetails, of an invocation or of a whole command."""

    PENDING = "Pending"
    IN_PROGRESS = "InProgress"
    DELAYED = "Delayed"
    CANCELLING = "Cancelling"
    SUCCESS = "Success"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    TERMINATED = "Terminated"
    DELIVERY_TIMED_OUT = "DeliveryTimedOut"
    EXECUTION_TIMED_OUT = "ExecutionTimedOut"
    UNDELIVERABLE = "Undeliverable"
    INVALID_PLATFORM = "InvalidPlatform"
    ACCESS_DENIED = "AccessDenied"
    INCOMPLETE = "Incomplete"  # this and the following: of commands only
    RATE_EXCEEDED = "RateExceeded"
    NO_INSTANCES = "NoInstancesInTag"

    @property
    def terminal(self) -> bool:
        """Nothing comes after it."""
        return self not in _OPEN

    @property
    def error(self) -> bool:
        """It counts against MaxErrors."""
        return self in (Detail.FAILED, Detail.EXECUTION_TIMED_OUT)

    @property
    def status(self) -> str:
        """The Status of an invocation in this state."""
        return _STATUS.get(self, self.value)

    @property
    def command_status(self) -> str:
        """The Status of a command in this state; commands are never Delayed."""
        return "Pending" if self is Detail.DELAYED else self.status


_OPEN = frozenset({Detail.PENDING, Detail.IN_PROGRESS, Detail.DELAYED, Detail.CANCELLING})
_WAITING = frozenset({Detail.PENDING, Detail.DELAYED})
# They do not count against MaxErrors, and say nothing about success.
_UNREACHED = frozenset({Detail.UNDELIVERABLE, Detail.INVALID_PLATFORM, Detail.ACCESS_DENIED})
_STATUS: Mapping[Detail, str] = {
    Detail.TERMINATED: "Cancelled",
    Detail.DELIVERY_TIMED_OUT: "TimedOut",
    Detail.EXECUTION_TIMED_OUT: "TimedOut",
    Detail.UNDELIVERABLE: "Failed",
    Detail.INVALID_PLATFORM: "Failed",
    Detail.ACCESS_DENIED: "Failed",
    Detail.INCOMPLETE: "Failed",
    Detail.RATE_EXCEEDED: "Failed",
    Detail.NO_INSTANCES: "Success",
}
_REPORTED: Mapping[str, Detail] = {
    "Success": Detail.SUCCESS,
    "Skipped": Detail.SUCCESS,
    "Failed": Detail.FAILED,
    "TimedOut": Detail.EXECUTION_TIMED_OUT,
    "Cancelled": Detail.CANCELLED,
}


def reported(word: str) -> Detail:
    """What the agent's word for a document or a step means.

    The restarts (SuccessAndReboot, PassedAndReboot) are not the end, and neither is a word that we do not know.
    """
    return _REPORTED.get(word, Detail.IN_PROGRESS)


def advanced(present: Detail, news: Detail) -> Detail:
    """The state after `news`: terminal is terminal, and only an end ends a cancellation.

    The final reply often overtakes the last InProgress.
    """
    if present.terminal or (present is Detail.CANCELLING and not news.terminal):
        return present
    return news


def aggregate(details: Sequence[Detail], *, errors_allowed: int, cancelled: bool) -> Detail:
    """The state of a command from those of its invocations. `cancelled`: somebody asked for its cancellation.

    Chosen here: a command without any success, and without enough errors to be Failed, is DeliveryTimedOut if every
    node was, Failed (or AccessDenied) if none was reached, otherwise Incomplete.
    """
    if not details:
        return Detail.NO_INSTANCES
    if any(not one.terminal for one in details):
        return _unfinished(details, cancelled=cancelled)
    if cancelled and Detail.CANCELLED in details:
        return Detail.CANCELLED
    count = Counter(details)
    if count[Detail.FAILED] + count[Detail.EXECUTION_TIMED_OUT] > errors_allowed:
        return Detail.FAILED if count[Detail.FAILED] else Detail.EXECUTION_TIMED_OUT
    return Detail.SUCCESS if count[Detail.SUCCESS] else _without_success(set(details))


def _without_success(seen: set[Detail]) -> Detail:
    if len(seen) == 1 and seen <= {Detail.ACCESS_DENIED, Detail.DELIVERY_TIMED_OUT, Detail.CANCELLED}:
        return next(iter(seen))
    return Detail.FAILED if seen <= _UNREACHED else Detail.INCOMPLETE


def _unfinished(details: Sequence[Detail], *, cancelled: bool) -> Detail:
    if cancelled:
        return Detail.CANCELLING
    if all(one in _WAITING for one in details):
        return Detail.DELAYED if Detail.DELAYED in details else Detail.PENDING
    return Detail.IN_PROGRESS


def share(text: str, total: int, *, at_least: int) -> int:
    """MaxConcurrency or MaxErrors as a number: itself, or a percentage of `total`, rounded down."""
    if text.endswith("%"):
        return max(at_least, total * int(text[:-1]) // 100)
    return max(at_least, int(text))
