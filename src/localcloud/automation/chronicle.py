"""All executions of an engine, found by id, by parent, or in the order of their starts without looking at each."""

import threading
from collections import deque
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
    """Runs by id. Threads may share it."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._order: deque[Run] = deque()
        self._children: dict[str, list[Run]] = {}
        self._lock = threading.Lock()

    def add(self, run: Run) -> None:
        """Remember a new run."""
        with self._lock:
            self._runs[run.id] = run
            self._order.append(run)
            if run.setup.parent_id:
                self._children.setdefault(run.setup.parent_id, []).append(run)

    def forget(self, run: Run) -> None:
        """Forget a run that could not begin."""
        with self._lock:
            self._drop(run)
            self._order.remove(run)

    def forget_before(self, then: datetime) -> None:
        """Forget the oldest runs that were over by `then`, up to the first that was not."""
        with self._lock:
            while self._order:
                ended = self._order[0].summary.ended_at
                if ended is None or ended > then:
                    return
                self._drop(self._order.popleft())

    def find(self, execution_id: str) -> Run:
        """The run of that id; raises ExecutionNotFound."""
        run = self._runs.get(execution_id)
        if run is None:
            raise ExecutionNotFound(f"Automation execution {execution_id} does not exist.")
        return run

    def newest_first(self) -> Iterator[Run]:
        """Every run there is at this moment."""
        with self._lock:
            runs = list(self._order)
        return reversed(runs)

    def children(self, execution_id: str) -> list[Run]:
        """The children of an execution, the newest first."""
        with self._lock:
            return list(reversed(self._children.get(execution_id, ())))

    def _drop(self, run: Run) -> None:
        self._runs.pop(run.id, None)
        self._children.pop(run.id, None)
        siblings = self._children.get(run.setup.parent_id, [])
        if run in siblings:
            siblings.remove(run)
