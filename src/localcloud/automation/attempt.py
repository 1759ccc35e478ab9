"""One attempt of one step: asks the action for its turns, in a worker or at once, until it is over, or over time.

Every method is called with the run's lock held, except those that workers and timers come in by. A worker's answer that
comes after the attempt was closed is dropped; what it began outside is stopped.
"""

import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol

from localcloud.automation.actions.protocol import (
    Action,
    ActionFailed,
    Again,
    FailureType,
    Finished,
    Held,
    StepCall,
    Turn,
)
from localcloud.automation.errors import SignalRefused
from localcloud.automation.scheduler import Scheduler, Task, Timer
from localcloud.automation.signals import Message

Ended = Finished | ActionFailed
_log = logging.getLogger(__name__)


class Run(Protocol):
    """The execution that an attempt belongs to. `ended` and `held` are called with its lock held."""

    lock: threading.RLock

    def ended(self, attempt: "Attempt", how: Ended) -> None:
        """The attempt is over."""

    def held(self, attempt: "Attempt", turn: Held) -> None:
        """The attempt waits for somebody."""

    def drive(self) -> None:
        """Go on with whatever follows."""


class Attempt:
    """One attempt. `inline`: the action answers at once and needs no worker."""

    def __init__(
        self, *, run: Run, scheduler: Scheduler, record: str, action: Action, call: StepCall, inline: bool
    ) -> None:
        self.record = record
        self.call = call
        self._run = run
        self._scheduler = scheduler
        self._action = action
        self._inline = inline
        self._state: Any = None
        self._asked = False
        self._waits = False
        self._closed = False
        self._task: Task | None = None
        self._timers: list[Timer] = []
        self._mail: list[Message] = []

    @property
    def waits(self) -> bool:
        """Whether it is held, so that it can be told something."""
        return self._waits

    def begin(self, *, delay: timedelta = timedelta(0)) -> None:
        """Ask for the first turn, now or after `delay` (as the service measures it)."""
        if self.call.deadline is not None:
            self._timers.append(self._scheduler.at(self.call.deadline, self._expire))
        if delay:
            self._later(delay, lambda: self._action.begin(self.call))
        else:
            self._ask(lambda: self._action.begin(self.call))

    def tell(self, message: Message) -> None:
        """Hand a message to the action, now or once it is held; raises SignalRefused if the action does."""
        if not self._waits:
            self._mail.append(message)
            return
        own: Any = self._action  # only the engine's own actions are ever held
        self._take(_answer(lambda: own.tell(self.call, self._state, message)))

    def abort(self, then: Callable[[], None] = lambda: None) -> None:
        """Close the attempt, stop what it began outside, and call `then` (with the lock) once that is done."""
        needed = self._asked and not self._closed
        inline, state = self._inline, self._state
        self._close()

        def stop() -> None:
            if needed:
                self._stop_outside(state)
            with self._run.lock:
                then()
                self._run.drive()

        if inline or not needed:
            if needed:
                self._stop_outside(state)
            then()
        else:
            self._scheduler.soon(stop)

    def _ask(self, turn: Callable[[], Turn]) -> None:
        if self._inline:
            self._asked = True
            self._take(_answer(turn))
        else:
            self._task = self._scheduler.soon(lambda: self._work(turn))

    def _work(self, turn: Callable[[], Turn]) -> None:
        with self._run.lock:
            if self._closed:
                return
            self._asked = True
        answer = _answer(turn)
        if self._scheduler.closed:
            return  # whatever it was, it came from a world that goes down
        with self._run.lock:
            self._task = None
            if not self._closed:
                self._take(answer)
                self._run.drive()
                return
        if isinstance(answer, Again | Held):
            self._stop_outside(answer.state)

    def _take(self, answer: Turn | ActionFailed) -> None:
        self._waits = False
        if isinstance(answer, Again):
            self._state = answer.state
            self._later(answer.after, lambda: self._action.resume(self.call, self._state))
        elif isinstance(answer, Held):
            self._state = answer.state
            self._waits = True
            self._run.held(self, answer)
            if self._mail:
                self.tell(self._mail.pop(0))
        else:
            self._close()
            self._run.ended(self, answer)

    def _later(self, delay: timedelta, turn: Callable[[], Turn]) -> None:
        def due() -> None:
            with self._run.lock:
                if not self._closed:
                    self._timers.remove(timer)
                    self._ask(turn)
                    self._run.drive()

        clock = self.call.surroundings.clock
        timer = self._scheduler.at(clock.now() + clock.scaled(delay), due)
        self._timers.append(timer)

    def _expire(self) -> None:
        with self._run.lock:
            if not self._closed:
                self.abort()
                self._run.ended(self, ActionFailed("Step timed out.", timed_out=True))
                self._run.drive()

    def _close(self) -> None:
        self._closed = True
        self._waits = False
        for timer in self._timers:
            timer.cancel()
        if self._task is not None:
            self._scheduler.abandon(self._task)
            self._task = None

    def _stop_outside(self, state: Any) -> None:
        try:
            self._action.cancel(self.call, state)
        except Exception:  # the door to foreign code: a step that cannot be stopped does not stop the rest
            _log.exception("step %s could not be cancelled", self.call.step.name)


def _answer(turn: Callable[[], Turn]) -> Turn | ActionFailed:
    try:
        return turn()
    except ActionFailed as failure:
        return failure
    except SignalRefused:
        raise
    except Exception as error:  # the door to foreign code: its bug is this step's failure, nobody else's
        _log.exception("an action failed unexpectedly")
        return ActionFailed(f"Step fails when it is executing/canceling action. {error!r}", kind=FailureType.INTERNAL)
