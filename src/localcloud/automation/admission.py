"""How many executions run at once; the others wait in the order of their starts.

Executions that wait themselves (in approve, pause, sleep, or for a child) leave their place to others: otherwise a
hundred parents would wait for children that can never begin. Not tied to executions: it deals in ids.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable

from localcloud.automation.errors import LimitExceeded


class Admission:
    """One queue with its limits. Threads may share it; `begin` is called without its lock."""

    def __init__(self, *, running: int, blocked: int, queued: int, begin: Callable[[str], None]) -> None:
        self._limit = running
        self._blocked_limit = blocked
        self._queue_limit = queued
        self._begin = begin
        self._running: set[str] = set()
        self._blocked: set[str] = set()
        self._queue: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def enter(self, key: str) -> None:
        """Begin it now or when there is room; raises LimitExceeded if too many wait already."""
        with self._lock:
            if len(self._queue) >= self._queue_limit and not self._room():
                raise LimitExceeded(f"{len(self._queue)} automation executions wait already.")
            self._queue[key] = None
        self._admit()

    def block(self, key: str, *, blocked: bool) -> None:
        """It waits itself from now on, or runs again: that is never put off, even if too many run then."""
        with self._lock:
            if key not in self._running or (key in self._blocked) == blocked:
                return
            if blocked:
                self._blocked.add(key)
            else:
                self._blocked.discard(key)
        if blocked:
            self._admit()

    def leave(self, key: str) -> None:
        """It is over, whether it ran or still waited."""
        with self._lock:
            self._queue.pop(key, None)
            self._running.discard(key)
            self._blocked.discard(key)
        self._admit()

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many run (waiting ones included), how many of these wait themselves, how many are queued."""
        with self._lock:
            return len(self._running), len(self._blocked), len(self._queue)

    def _room(self) -> bool:
        excused = min(len(self._blocked), self._blocked_limit)
        return len(self._running) - excused < self._limit

    def _admit(self) -> None:
        admitted = []
        with self._lock:
            while self._queue and self._room():
                key, _ = self._queue.popitem(last=False)
                self._running.add(key)
                admitted.append(key)
        for key in admitted:
            self._begin(key)
