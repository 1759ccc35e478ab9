"""Now and waiting, as a port: handed to whoever needs the time, so that tests never sleep."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """The product's clock. Times are aware, in UTC."""

    def now(self) -> datetime:
        """The current time."""

    def wait(self, duration: timedelta) -> None:
        """Let `duration` pass; nothing or less returns at once."""


class SystemClock:
    """Real time, real waiting."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def wait(self, duration: timedelta) -> None:
        seconds = duration.total_seconds()
        if seconds > 0:
            time.sleep(seconds)


def epoch(moment: datetime) -> int:
    """Whole seconds since 1970, rounded down: how times are kept in the ledger."""
    return int(moment.timestamp())


def from_epoch(seconds: float) -> datetime:
    """The moment of an epoch second, aware UTC."""
    return datetime.fromtimestamp(float(seconds), UTC)
