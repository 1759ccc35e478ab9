"""Long-running operations: when they end, what happens then, and what their monitors say meanwhile.

An operation's effects come in two parts at its end: `work` on the hardware, which may take its time and is done without
the state's lock, then `finish` on the state. Source: reference/azure-compute, section 4.1.
"""

import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from localcloud.azure.errors import ArmError


class Status(Enum):
    """What a status monitor says."""

    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELED = "Canceled"


def _nothing() -> None:
    """There is nothing to do."""


@dataclass(slots=True, kw_only=True)
class Operation:
    """One long-running operation.

    `holds` are the resources (by key) that nobody else may write meanwhile, `uses` those that may not be deleted.
    `planned` is how it will end if its work does not fail. `ends_at` None: it never ends. `result` is what its Location
    answers in the end; None there is 204.
    """

    route: str  # our word for the operation, such as virtualMachines.start
    family: str  # operations or DiskOperations
    subscription: str
    location: str
    started_at: datetime
    ends_at: datetime | None
    holds: frozenset[str]
    uses: frozenset[str] = frozenset()
    begin: Callable[[], None] = _nothing  # hardware work before the first answer
    work: Callable[[], None] | None = None
    finish: Callable[["Operation"], None]
    result: Callable[[], Any] = lambda: None
    retrievable: bool = True  # whether there is a Location at all
    planned: Status = Status.SUCCEEDED
    applied: bool = False  # its effect is there although it ends badly
    error: ArmError | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    ticket: str = field(default_factory=lambda: str(uuid.uuid4()))  # the query parameter that monitors must keep
    status: Status = Status.IN_PROGRESS
    ended_at: datetime | None = None
    claimed: bool = False  # somebody does its work now
    gone: bool = False  # its monitors answer 404

    @property
    def effective(self) -> bool:
        """Whether it does (or did) what it is for."""
        return self.planned is Status.SUCCEEDED or self.applied

    def fail(self, error: ArmError, status: Status = Status.FAILED) -> None:
        """It will end badly."""
        self.planned, self.error = status, error

    def due(self, now: datetime) -> bool:
        """Whether its end has come."""
        return self.status is Status.IN_PROGRESS and self.ends_at is not None and self.ends_at <= now

    def monitor(self) -> dict[str, Any]:
        """The body of the status monitor."""
        told: dict[str, Any] = {"startTime": self.started_at.isoformat(), "status": self.status.value, "name": self.id}
        if self.ended_at is not None:
            told["endTime"] = self.ended_at.isoformat()
        if self.status in {Status.FAILED, Status.CANCELED} and self.error is not None:
            told["error"] = self.error.content
        return told


class Operations:
    """All operations of one local Azure. The state's lock guards it."""

    def __init__(self) -> None:
        self._all: dict[str, Operation] = {}
        self._running: dict[str, Operation] = {}
        self._ended: deque[Operation] = deque()

    def add(self, operation: Operation) -> None:
        """An operation has been accepted."""
        self._all[operation.id] = operation
        self._running[operation.id] = operation

    def find(self, operation_id: str) -> Operation | None:
        """The operation with this id."""
        return self._all.get(operation_id.lower())

    def holder(self, resource: str) -> Operation | None:
        """Who keeps others from writing the resource with this key."""
        return next((each for each in self._running.values() if resource in each.holds), None)

    def user(self, resource: str) -> Operation | None:
        """Who keeps others from deleting the resource with this key."""
        return next((each for each in self._running.values() if resource in each.uses), None)

    def due(self, now: datetime) -> list[Operation]:
        """Those that should have ended and are not being worked on, the earliest first."""
        found = [each for each in self._running.values() if each.due(now) and not each.claimed]
        return sorted(found, key=lambda each: each.ends_at or now)

    def next_end(self) -> datetime | None:
        """When the next operation with work on the hardware ends."""
        ends = [
            each.ends_at
            for each in self._running.values()
            if each.ends_at is not None and each.work is not None and not each.claimed
        ]
        return min(ends, default=None)

    def end(self, operation: Operation, now: datetime) -> None:
        """Its work is done: decide how it ended and change the state."""
        operation.status = operation.planned
        # An operation ends when it was due, however late somebody looks; work on machines may have taken longer.
        operation.ended_at = now if operation.work is not None or operation.ends_at is None else operation.ends_at
        self._running.pop(operation.id, None)
        self._ended.append(operation)
        operation.finish(operation)

    def forget_before(self, then: datetime) -> list[Operation]:
        """Forget those that ended before `then`, up to the first that did not: their monitors are gone."""
        gone = []
        while self._ended and (self._ended[0].ended_at or then) < then:
            gone.append(self._ended.popleft())
            del self._all[gone[-1].id]
        return gone
