"""The local cloud's clock: the time that services stamp and compare, and the waiting that they do.

Timestamps and lifetimes are never scaled; durations that an emulated service *measures* (cloud operations, schedules,
heartbeats, the PingStatus threshold) go through `Clock.scaled`. Tests hand in a `SteppedClock` and move it by hand.
"""

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Now, waiting, and the scale of emulated durations."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""

    def scaled(self, duration: timedelta) -> timedelta:
        """How long an emulated service takes for something that lasts `duration` in the real cloud."""

    def wait(self, event: threading.Event, duration: timedelta) -> bool:
        """Block until `event` is set (True) or `duration` of this clock has passed (False)."""


class SystemClock:
    """Real time; emulated durations shrink by `scale` (0.01: a 5-minute schedule fires every 3 s)."""

    def __init__(self, *, scale: float = 1.0) -> None:
        if not 0 < scale <= 1:
            raise ValueError(f"time scale is {scale}; it must be above 0 and at most 1")
        self._scale = scale

    def now(self) -> datetime:
        return datetime.now(UTC)

    def scaled(self, duration: timedelta) -> timedelta:
        return duration * self._scale

    def wait(self, event: threading.Event, duration: timedelta) -> bool:
        return event.wait(max(0.0, duration.total_seconds()))


class SteppedClock:
    """A clock that stands still until `step` moves it; waiters wake when their time has come."""

    def __init__(self, start: datetime | None = None) -> None:
        self._now = start or datetime.now(UTC)
        self._moved = threading.Condition()

    def now(self) -> datetime:
        return self._now

    def scaled(self, duration: timedelta) -> timedelta:
        return duration

    def step(self, duration: timedelta) -> None:
        """Move the time forward (or, for a skewed clock, back) and wake whoever waits for it."""
        with self._moved:
            self._now += duration
            self._moved.notify_all()

    def wait(self, event: threading.Event, duration: timedelta) -> bool:
        with self._moved:
            end = self._now + duration
            while not event.is_set() and self._now < end:
                # The event is set from outside this condition, so look at it again now and then.
                self._moved.wait(0.02)
        return event.is_set()


def monotonic() -> float:
    """Seconds for measuring how long something really took; never scaled, never stepped."""
    return time.monotonic()
