"""When and where the engine's work runs: one heap of timers on the clock, and a bounded pool of worker threads.

Timers fire in the order of their times, on one thread, and must be short; what may block goes to the pool. A worker
whose work nobody waits for any more (`abandon`) no longer counts against the bound, so that calls that hang cannot stop
everything else.
"""

import heapq
import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from localcloud.clock import Clock, monotonic

_LONG = timedelta(hours=1)  # without any timer
_TIDY_FROM = 256  # cancelled timers in the heap before it is worth to sort them out
_JOIN = 1.0  # seconds for workers to end at close; one that hangs in a call ends with the process
_log = logging.getLogger(__name__)

Work = Callable[[], None]


@dataclass(slots=True, eq=False)
class Timer:
    """Work at a time; `cancel` forgets it."""

    at: datetime
    work: Work | None

    def cancel(self) -> None:
        """Never fire. Safe to repeat, and after it fired."""
        self.work = None


@dataclass(slots=True, eq=False)
class Task:
    """Work in the pool."""

    work: Work
    running: bool = False
    abandoned: bool = False


@dataclass(slots=True)
class _Pool:
    limit: int
    queue: deque[Task] = field(default_factory=deque)
    threads: set[threading.Thread] = field(default_factory=set)
    idle: int = 0
    busy: int = 0
    abandoned: int = 0


class Scheduler:
    """Timers and workers of one engine. Threads may share it; it starts threads only when there is work."""

    def __init__(self, clock: Clock, *, workers: int) -> None:
        self._clock = clock
        # One lock, two rooms: idle workers wait for tasks, and each task wakes one; who settles waits for changes.
        lock = threading.RLock()
        self._changed = threading.Condition(lock)
        self._tasks = threading.Condition(lock)
        self._pool = _Pool(limit=workers)
        self._heap: list[tuple[datetime, int, Timer]] = []
        self._numbers = itertools.count()
        self._tidy_at = _TIDY_FROM
        self._firing = threading.RLock()  # timers fire one after another, whoever fires them
        self._wake = threading.Event()
        self._closed = False
        self._ticker: threading.Thread | None = None

    def at(self, when: datetime, work: Work) -> Timer:
        """Call `work` once the clock shows `when`, on the timers' thread."""
        timer = Timer(at=when, work=work)
        with self._changed:
            heapq.heappush(self._heap, (when, next(self._numbers), timer))
            self._tidy()
            if self._ticker is None and not self._closed:
                self._ticker = threading.Thread(target=self._tick, name="automation-timers", daemon=True)
                self._ticker.start()
            earliest = self._heap[0][2] is timer
        if earliest:
            self._wake.set()
        return timer

    def soon(self, work: Work) -> Task:
        """Call `work` in a worker as soon as one is free."""
        task = Task(work=work)
        pool = self._pool
        with self._changed:
            if self._closed:
                return task
            pool.queue.append(task)
            if pool.idle >= len(pool.queue):
                self._tasks.notify()
            elif len(pool.threads) - pool.abandoned < pool.limit:
                worker = threading.Thread(target=self._work, name="automation-worker", daemon=True)
                pool.threads.add(worker)
                worker.start()
        return task

    def abandon(self, task: Task) -> None:
        """Forget a task: drop it if it has not begun, else let another thread take its worker's place."""
        pool = self._pool
        with self._changed:
            if task.abandoned:
                return
            task.abandoned = True
            self._changed.notify_all()
            if task.running:
                pool.abandoned += 1
                if pool.queue and len(pool.threads) - pool.abandoned < pool.limit:
                    worker = threading.Thread(target=self._work, name="automation-worker", daemon=True)
                    pool.threads.add(worker)
                    worker.start()

    @property
    def closed(self) -> bool:
        """Whether nothing begins any more."""
        return self._closed

    def next_due(self) -> datetime | None:
        """When the next timer fires; None without any."""
        with self._changed:
            self._drop_cancelled()
            return self._heap[0][0] if self._heap else None

    def run_due(self) -> int:
        """Fire every timer whose time has come, on this thread; how many there were."""
        fired = 0
        with self._firing:
            while (timer := self._take_due()) is not None:
                work, timer.work = timer.work, None
                if work is not None:
                    self._guarded(work)
                    fired += 1
        return fired

    def settle(self, timeout: float = 10.0) -> bool:
        """Wait (really) until nothing runs, is queued or due: what is left waits for the clock or for somebody.

        Abandoned work does not count. False if that does not come about within `timeout` seconds.
        """
        end = monotonic() + timeout
        while monotonic() < end:
            self.run_due()
            with self._changed:
                self._changed.wait_for(self._quiet, timeout=max(0.0, end - monotonic()))
            with self._firing, self._changed:  # no timer is being fired, and nothing changes while we look
                self._drop_cancelled()
                due = bool(self._heap) and self._heap[0][0] <= self._clock.now()
                if self._quiet() and not due:
                    return True
        return False

    @property
    def threads(self) -> int:
        """How many worker threads there are."""
        with self._changed:
            return len(self._pool.threads)

    def close(self) -> None:
        """Drop what waits, and return once no thread of ours works any more (or hangs in a call)."""
        with self._changed:
            self._closed = True
            self._heap.clear()
            self._pool.queue.clear()
            self._changed.notify_all()
            self._tasks.notify_all()
            threads = [*self._pool.threads, *([self._ticker] if self._ticker else [])]
        self._wake.set()
        end = monotonic() + _JOIN
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(timeout=max(0.0, end - monotonic()))

    def _quiet(self) -> bool:
        pool = self._pool
        return self._closed or (not pool.queue and pool.busy == pool.abandoned)

    def _take_due(self) -> Timer | None:
        with self._changed:
            self._drop_cancelled()
            if self._closed or not self._heap or self._heap[0][0] > self._clock.now():
                return None
            return heapq.heappop(self._heap)[2]

    def _drop_cancelled(self) -> None:
        while self._heap and self._heap[0][2].work is None:
            heapq.heappop(self._heap)

    def _tidy(self) -> None:
        # A step's timeout is mostly cancelled long before its time: without this the heap would keep a week of them.
        if len(self._heap) >= self._tidy_at:
            self._heap = [entry for entry in self._heap if entry[2].work is not None]
            heapq.heapify(self._heap)
            self._tidy_at = max(_TIDY_FROM, 2 * len(self._heap))

    def _tick(self) -> None:
        while not self._closed:
            self._wake.clear()
            self.run_due()
            due = self.next_due()
            self._clock.wait(self._wake, _LONG if due is None else due - self._clock.now())

    def _work(self) -> None:
        pool = self._pool
        while (task := self._next_task()) is not None:
            self._guarded(task.work)
            with self._changed:
                pool.busy -= 1
                pool.abandoned -= task.abandoned
                task.running = False
                surplus = len(pool.threads) - pool.abandoned > pool.limit
                if surplus:
                    pool.threads.discard(threading.current_thread())
                self._changed.notify_all()
            if surplus:
                return  # somebody took this worker's place meanwhile
        with self._changed:
            pool.threads.discard(threading.current_thread())

    def _next_task(self) -> Task | None:
        pool = self._pool
        with self._changed:
            while not self._closed:
                while pool.queue:
                    task = pool.queue.popleft()
                    if not task.abandoned:
                        task.running = True
                        pool.busy += 1
                        return task
                self._changed.notify_all()  # a queue of abandoned tasks has just become empty
                pool.idle += 1
                self._tasks.wait()
                pool.idle -= 1
            return None

    @staticmethod
    def _guarded(work: Work) -> None:
        try:
            work()
        except Exception:  # the outermost door of a thread that must go on for everybody else
            _log.exception("work of the automation engine failed")
