"""Asynchronous invocations: queued at once, repeated after failures, given up in the end.

Source: AWS Lambda, "How Lambda handles errors and retries with asynchronous invocation": two more attempts after 1 and
2 minutes for errors of the function; throttled events come back after 1 s to 5 minutes until they are too old. These
waits are the service's own, so they are scaled.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from localcloud.aws.functions.catalogue import Catalogue, EventRules
from localcloud.aws.functions.model import DeadEvent, Invocation
from localcloud.errors import LocalCloudError, ServiceError
from localcloud.world import World

_AFTER_ERRORS = (timedelta(minutes=1), timedelta(minutes=2))
_THROTTLED_FIRST = timedelta(seconds=1)
_THROTTLED_MOST = timedelta(minutes=5)
_STOP_LIMIT = 10.0  # seconds

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event on its way; all attempts share its request id."""

    function_name: str
    region: str
    qualifier: str | None
    payload: bytes
    request_id: str
    queued_at: datetime


class Events:
    """The queue of one local cloud. Each event has a thread of its own, from queued to done or dead."""

    def __init__(self, world: World, *, catalogue: Catalogue, attempt: Callable[[Event], Invocation]) -> None:
        self._world = world
        self._catalogue = catalogue
        self._attempt = attempt
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._running = 0
        self._dead: list[DeadEvent] = []

    def put(self, event: Event) -> None:
        """Queue an event; it is attempted at once."""
        rules = self._catalogue.event_rules(event.function_name, region=event.region)
        with self._changed:
            self._running += 1
        threading.Thread(target=self._carry, args=(event, rules), name="function-event", daemon=True).start()

    @property
    def dead(self) -> list[DeadEvent]:
        """The events that were given up, in that order."""
        with self._changed:
            return list(self._dead)

    def wait_until_empty(self, timeout: timedelta) -> bool:
        """Wait (real time) until every event is done or dead; False if some are still on their way."""
        with self._changed:
            return self._changed.wait_for(lambda: self._running == 0, timeout=timeout.total_seconds())

    def stop(self) -> None:
        """Forget what waits for its next attempt."""
        self._stop.set()

    def join(self) -> None:
        """Wait until no event has a thread any more."""
        self.wait_until_empty(timedelta(seconds=_STOP_LIMIT))

    def _carry(self, event: Event, rules: EventRules) -> None:
        try:
            self._until_done(event, rules)
        except LocalCloudError as error:
            self._give_up(event, attempts=1, reason="Unsupported", why=error)
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _until_done(self, event: Event, rules: EventRules) -> None:
        errors = attempts = 0
        throttle_wait = _THROTTLED_FIRST
        end = event.queued_at + self._world.clock.scaled(rules.maximum_age)
        while not self._stop.is_set():
            attempts += 1
            try:
                if not self._attempt(event).function_error:
                    return
            except ServiceError as error:
                if error.code != "TooManyRequestsException":
                    self._give_up(event, attempts=attempts, reason=error.code, why=error)
                    return
                wait, throttle_wait = throttle_wait, min(throttle_wait * 2, _THROTTLED_MOST)
            else:
                if errors == rules.retries:
                    self._give_up(event, attempts=attempts, reason="RetriesExhausted")
                    return
                wait = _AFTER_ERRORS[errors]
                errors += 1
            pause = self._world.clock.scaled(wait)
            if self._world.clock.now() + pause > end:
                self._give_up(event, attempts=attempts, reason="EventAgeExceeded")
                return
            self._world.clock.wait(self._stop, pause)

    def _give_up(self, event: Event, *, attempts: int, reason: str, why: LocalCloudError | None = None) -> None:
        # Nobody waits for this answer, so the log is where it can be told.
        log.warning("event %s of function %s dropped: %s", event.request_id, event.function_name, why or reason)
        dead = DeadEvent(
            function_name=event.function_name,
            region=event.region,
            payload=event.payload,
            request_id=event.request_id,
            attempts=attempts,
            reason=reason,
        )
        with self._changed:
            self._dead.append(dead)
