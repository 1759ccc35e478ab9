"""Failures of Azure on demand: throttled, failing, unanswered, operations that fail or never end, stale reads.

Rules name RBAC actions (`Microsoft.Compute/snapshots/write`), `*` stands for any part. `count` is how many calls a rule
hits (None: all). A rule may be bound to one resource by the end of its id.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from localcloud.azure.errors import ArmError
from localcloud.azure.operations import Operation, Status
from localcloud.errors import ConnectionLost

VM = "Microsoft.Compute/virtualMachines"
MONITORS = "Microsoft.Compute/locations/*perations/read"

_What = Literal[
    "refuse", "drop", "lose", "latency", "fail", "stick", "gone", "stale", "ignore", "allocation", "detaching", "copy"
]


# Told "before" or "after" the effect, the action and the resource's id.
Watcher = Callable[[str, str, str], None]


@dataclass(kw_only=True)
class _Rule:
    what: _What
    action: str
    resource: str = ""
    count: int | None = None
    error: ArmError | None = None
    status: Status = Status.FAILED
    applied: bool = False
    seconds: float = 0.0
    percent: float = 0.0

    def matches(self, what: _What, action: str, resource: str) -> bool:
        return (
            self.what == what
            and self.count != 0
            and fnmatchcase(action.lower(), self.action.lower())
            and resource.lower().endswith(self.resource.lower())
        )


class AzureFaults:
    """The armed faults of one local Azure. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[_Rule] = []
        self._watchers: list[Watcher] = []

    def clear(self) -> None:
        """Disarm everything; nobody watches any more."""
        with self._lock:
            self._rules.clear()
            self._watchers.clear()

    def watch(self, watcher: Watcher) -> None:
        """Call `watcher` before and after the effect of every call, in the thread that answers it.

        What it raises goes to the caller of `azure.dispatch`: in process a crash at that very point, over TLS (raise
        ConnectionLost) a connection that breaks, for example because the watcher has killed the asking process.
        """
        with self._lock:
            self._watchers.append(watcher)

    # -- calls

    def throttle(
        self, action: str = "*", *, retry_after: int = 1200, count: int | None = 1, resource: str = ""
    ) -> None:
        """Matching calls are refused with 429 and this Retry-After (seconds, never scaled); they have no effect."""
        refusal = ArmError(
            429,
            "OperationNotAllowed",
            "The server rejected the request because too many requests have been received for this subscription.",
            details=[{"code": "TooManyRequests", "target": "HighCostGet", "message": "{}"}],
            headers={"Retry-After": str(retry_after)},
            bare=True,
        )
        self._arm(_Rule(what="refuse", action=action, resource=resource, count=count, error=refusal))

    def error(
        self,
        action: str = "*",
        *,
        status: int = 500,
        code: str = "InternalServerError",
        message: str = "An injected fault: the service failed.",
        count: int | None = 1,
        resource: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        """Matching calls fail with this status and code; they have no effect."""
        refusal = ArmError(status, code, message, headers=headers)
        self._arm(_Rule(what="refuse", action=action, resource=resource, count=count, error=refusal))

    def drop(self, action: str = "*", *, count: int | None = 1, resource: str = "") -> None:
        """The connection of matching calls breaks before they have an effect."""
        self._arm(_Rule(what="drop", action=action, resource=resource, count=count))

    def lose_answer(self, action: str = "*", *, count: int | None = 1, resource: str = "") -> None:
        """Matching calls take effect, then the connection breaks instead of an answer."""
        self._arm(_Rule(what="lose", action=action, resource=resource, count=count))

    def latency(self, action: str, seconds: float, *, count: int | None = None, resource: str = "") -> None:
        """Matching calls take `seconds` longer; several rules add up."""
        self._arm(_Rule(what="latency", action=action, resource=resource, count=count, seconds=seconds))

    # -- operations

    def operation_fails(
        self,
        action: str,
        *,
        code: str = "InternalExecutionError",
        message: str = "An internal execution error occurred. Please retry later.",
        status: Literal["Failed", "Canceled"] = "Failed",
        applied: bool = False,
        count: int | None = 1,
        resource: str = "",
    ) -> None:
        """Matching calls are accepted and their operations end badly; `applied`: the effect is there all the same."""
        self._arm(
            _Rule(
                what="fail",
                action=action,
                resource=resource,
                count=count,
                error=ArmError(409, code, message),
                status=Status(status),
                applied=applied,
            )
        )

    def operation_stuck(self, action: str, *, count: int | None = 1, resource: str = "") -> None:
        """Operations of matching calls never end."""
        self._arm(_Rule(what="stick", action=action, resource=resource, count=count))

    def snapshot_stuck(self, *, count: int | None = 1, resource: str = "") -> None:
        """Snapshots stay in creation for ever."""
        self.operation_stuck("Microsoft.Compute/snapshots/write", count=count, resource=resource)

    def snapshot_copy_stuck(self, percent: float = 42.0, *, count: int | None = 1, resource: str = "") -> None:
        """The background copy of snapshots (v2, Ultra, CopyStart) stands still at `percent`."""
        self._arm(
            _Rule(
                what="copy", action="Microsoft.Compute/snapshots/write", resource=resource, count=count, percent=percent
            )
        )

    def snapshot_failed(self, *, count: int | None = 1, resource: str = "") -> None:
        """The creation of snapshots fails."""
        self.operation_fails("Microsoft.Compute/snapshots/write", count=count, resource=resource)

    def update_fails(self, count: int | None = 1, *, applied: bool = False, resource: str = "") -> None:
        """Updates (PUT, PATCH) of virtual machines fail at their end."""
        self.operation_fails(f"{VM}/write", count=count, applied=applied, resource=resource)

    def update_ignored(self, count: int | None = 1, *, resource: str = "") -> None:
        """Updates of virtual machines end well and change nothing."""
        self._arm(_Rule(what="ignore", action=f"{VM}/write", resource=resource, count=count))

    def allocation_fails(self, count: int | None = 1, *, resource: str = "", code: str = "AllocationFailed") -> None:
        """A start after a deallocation finds no capacity."""
        error = ArmError(
            409,
            code,
            "Allocation failed. We do not have sufficient capacity for the requested VM size in this region.",
        )
        self._arm(_Rule(what="allocation", action=f"{VM}/start/action", resource=resource, count=count, error=error))

    def attach_while_detaching(self, count: int | None = 1, *, resource: str = "") -> None:
        """Attaching disks is refused as if the last detach had not ended."""
        self._arm(_Rule(what="detaching", action=f"{VM}/*", resource=resource, count=count))

    def monitor_gone(self, count: int | None = 1) -> None:
        """Monitors of operations answer 404."""
        self._arm(_Rule(what="gone", action=MONITORS, count=count))

    def stale_read(self, action: str = "*", *, count: int | None = 1, resource: str = "") -> None:
        """GETs of a resource show what it was before its last write (404 if it was not there)."""
        self._arm(_Rule(what="stale", action=action, resource=resource, count=count))

    # -- asked by the provider

    def delay(self, action: str, resource: str) -> float:
        """How many seconds longer this call takes."""
        with self._lock:
            return sum(rule.seconds for rule in self._rules if self._hit(rule, "latency", action, resource))

    def before(self, action: str, resource: str) -> None:
        """Ahead of the effect: ArmError or ConnectionLost."""
        self._tell("before", action, resource)
        if self._take("drop", action, resource):
            raise ConnectionLost(f"{action} was dropped on purpose")
        rule = self._take("refuse", action, resource)
        if rule is not None and rule.error is not None:
            raise rule.error

    def after(self, action: str, resource: str) -> None:
        """Once the effect is there: ConnectionLost if the answer gets lost."""
        self._tell("after", action, resource)
        if self._take("lose", action, resource):
            raise ConnectionLost(f"the answer to {action} was lost on purpose")

    def shape(self, operation: Operation, action: str, resource: str) -> None:
        """Let an accepted operation end as armed."""
        if self._take("stick", action, resource):
            operation.ends_at = None
        rule = self._take("fail", action, resource)
        if rule is not None and rule.error is not None:
            operation.fail(rule.error, rule.status)
            operation.applied = rule.applied

    def allocation(self, action: str, resource: str) -> ArmError | None:
        """The lack of capacity that this start finds."""
        rule = self._take("allocation", action, resource)
        return rule.error if rule else None

    def copy_stands_at(self, action: str, resource: str) -> float | None:
        """The percentage at which this snapshot's background copy stops."""
        rule = self._take("copy", action, resource)
        return rule.percent if rule else None

    def happens(self, what: Literal["gone", "stale", "ignore", "detaching"], action: str, resource: str) -> bool:
        """Whether such a fault hits this call."""
        return self._take(what, action, resource) is not None

    def _tell(self, stage: str, action: str, resource: str) -> None:
        with self._lock:
            watchers = list(self._watchers)
        for watcher in watchers:
            watcher(stage, action, resource)

    def _take(self, what: _What, action: str, resource: str) -> _Rule | None:
        with self._lock:
            return next((rule for rule in self._rules if self._hit(rule, what, action, resource)), None)

    @staticmethod
    def _hit(rule: _Rule, what: _What, action: str, resource: str) -> bool:
        if not rule.matches(what, action, resource):
            return False
        if rule.count is not None:
            rule.count -= 1
        return True

    def _arm(self, rule: _Rule) -> None:
        with self._lock:
            self._rules.append(rule)
