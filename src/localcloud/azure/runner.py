"""Brings operations to their ends: on time in the background, or when somebody looks under a clock that is stepped."""

import logging
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from localcloud.azure.errors import ArmError
from localcloud.azure.operations import Operation
from localcloud.azure.state import State
from localcloud.clock import Clock, SteppedClock
from localcloud.errors import LocalCloudError

WORKERS = 32  # machines that go on or off at the same time
_IDLE = timedelta(hours=1)

log = logging.getLogger(__name__)


class Runner:
    """Ends the operations of one state. Threads may share it."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        # Whoever steps the clock wants to see what it brings about, so the looker does the work.
        self._inline = isinstance(clock, SteppedClock)
        self._changed = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._pool = ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="azure-work")

    def begin(self, operation: Operation) -> None:
        """Do what comes before an operation's first answer (the state's lock is free), then let it run to its end."""
        error = _attempt(operation, operation.begin)
        with self._state.lock:
            if error is not None:
                operation.fail(error)
            operation.claimed = False
        if operation.work is not None and not self._inline:
            self._start()
            self._changed.set()

    def settle(self) -> None:
        """End what is due. In the background, operations with work on machines may take somewhat longer."""
        while True:
            with self._state.lock:
                now = self._clock.now()
                due = [each for each in self._state.operations.due(now) if self._inline or each.work is None]
                if not due:
                    return
                operation = due[0]
                if operation.work is None:
                    self._state.operations.end(operation, now)
                    continue
                operation.claimed = True
            self._finish(operation)

    def close(self) -> None:
        """Begin nothing new and wait for what is being done. Safe to repeat."""
        self._closed = True
        self._changed.set()
        if self._thread is not None:
            self._thread.join()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _start(self) -> None:
        with self._state.lock:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._keep_running, name="azure-operations", daemon=True)
                self._thread.start()

    def _keep_running(self) -> None:
        while True:
            self._changed.clear()
            if self._closed:  # looked at after the clearing, so that the end's own signal is never lost
                return
            with self._state.lock:
                now = self._clock.now()
                due = [each for each in self._state.operations.due(now) if each.work is not None]
                for operation in due:
                    operation.claimed = True
                following = self._state.operations.next_end()
            for operation in due:
                self._pool.submit(self._finish, operation)
            self._clock.wait(self._changed, _IDLE if following is None else max(timedelta(0), following - now))

    def _finish(self, operation: Operation) -> None:
        error = _attempt(operation, operation.work) if operation.work is not None else None
        with self._state.lock:
            if error is not None:
                operation.fail(error)
            self._state.operations.end(operation, self._clock.now())


def _attempt(operation: Operation, work: Callable[[], None]) -> ArmError | None:
    """Work on the hardware; what goes wrong there is the operation's failure, and in our log."""
    try:
        work()
    except (OSError, subprocess.SubprocessError, LocalCloudError) as error:
        log.error("%s: the hardware failed: %s", operation.route, error)
        return ArmError(500, "InternalExecutionError", f"An internal execution error occurred: {error}")
    return None
