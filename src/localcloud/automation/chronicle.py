"""All executions of an engine, found by id, by parent, or in the order of their starts without looking at each."""

import threading
from bisect import bisect_left
from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from localcloud.automation.course import Setup
from localcloud.automation.errors import ExecutionNotFound
from localcloud.automation.records import AutomationExecution, StepExecution
from localcloud.automation.signals import Message, Signal, StopType


class Run(Protocol):
    """An execution as the engine deals with it: of a runbook, or under rate control."""

    id: str
    setup: Setup

    @property
    def summary(self) -> AutomationExecution:
        """As it is now."""

    def steps(self) -> list[StepExecution]:
        """As they are now."""

    def begin(self) -> None:
        """Run."""

    def stop(self, kind: StopType) -> None:
        """Cancel or complete."""

    def signal(self, signal: Signal) -> None:
        """What somebody sends."""

    def tell(self, message: Message) -> None:
        """What the engine tells."""


class Chronicle:
    """Runs by id, and in the order of their starts. Threads may share it."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._numbers: dict[str, int] = {}
        self._order: list[tuple[int, Run]] = []
        self._count = 0
        self._children: dict[str, list[Run]] = {}
        self._lock = threading.Lock()

    def add(self, run: Run) -> None:
        """Remember a new run."""
        with self._lock:
            self._count += 1
            self._runs[run.id] = run
            self._numbers[run.id] = self._count
            self._order.append((self._count, run))
            if run.setup.parent_id:
                self._children.setdefault(run.setup.parent_id, []).append(run)

    def forget(self, run: Run) -> None:
        """Forget a run that could not begin."""
        with self._lock:
            self._order.remove((self._numbers[run.id], run))
            self._drop(run)

    def forget_before(self, then: datetime) -> None:
        """Forget the oldest runs that were over by `then`, up to the first that was not."""
        with self._lock:
            old = 0
            for _, run in self._order:
                ended = run.summary.ended_at
                if ended is None or ended > then:
                    break
                self._drop(run)
                old += 1
            del self._order[:old]

    def __contains__(self, execution_id: str) -> bool:
        """Whether it is remembered."""
        return execution_id in self._runs

    def find(self, execution_id: str) -> Run:
        """The run of that id; raises ExecutionNotFound."""
        run = self._runs.get(execution_id)
        if run is None:
            raise ExecutionNotFound(f"Automation execution {execution_id} does not exist.")
        return run

    def newest_first(self, *, older_than: str = "") -> Iterator[Run]:
        """Every run there is at this moment, or those that began before the run of that id."""
        with self._lock:
            limit = self._numbers.get(older_than, 0) if older_than else self._count + 1
            place = bisect_left(self._order, limit, key=lambda entry: entry[0])
            runs = self._order[:place]
        return (run for _, run in reversed(runs))

    def children(self, execution_id: str) -> list[Run]:
        """The children of an execution, the newest first."""
        with self._lock:
            return list(reversed(self._children.get(execution_id, ())))

    def _drop(self, run: Run) -> None:
        self._runs.pop(run.id, None)
        self._numbers.pop(run.id, None)
        self._children.pop(run.id, None)
        siblings = self._children.get(run.setup.parent_id, [])
        if run in siblings:
            siblings.remove(run)
