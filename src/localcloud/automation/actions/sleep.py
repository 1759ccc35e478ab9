"""`aws:sleep`: until a duration has passed or a time has come."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from localcloud.automation.actions.own import Immediate
from localcloud.automation.actions.protocol import ActionFailed, Again, FailureStage, Finished, StepCall, Turn

LONGEST = timedelta(seconds=604_799)
_DURATION = re.compile(
    r"P(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:[.,]\d+)?)S)?)?"
)


class Sleep(Immediate):
    """Waits for the clock. A Timestamp's remaining time is a duration like any other: a scaled cloud shortens it."""

    name = "aws:sleep"
    blocks = True

    def check(self, inputs: Mapping[str, Any]) -> None:
        """Exactly one of Duration and Timestamp, and within limits."""
        if ("Duration" in inputs) == ("Timestamp" in inputs):
            raise _invalid("Exactly one of Duration and Timestamp must be given.")
        if "Duration" in inputs and parse_duration(str(inputs["Duration"])) > LONGEST:
            raise _invalid(f"Duration must be at most {int(LONGEST.total_seconds())} seconds.")
        if "Timestamp" in inputs:
            _timestamp(str(inputs["Timestamp"]))

    def begin(self, call: StepCall) -> Turn:
        """How long; nothing and the past are over at once."""
        if "Duration" in call.inputs:
            remaining = parse_duration(str(call.inputs["Duration"]))
        else:
            remaining = _timestamp(str(call.inputs["Timestamp"])) - call.surroundings.clock.now()
            if remaining > LONGEST:
                raise _invalid(f"Timestamp must be at most {int(LONGEST.total_seconds())} seconds ahead.")
        return Again(after=remaining, state=None) if remaining > timedelta(0) else Finished()

    def resume(self, call: StepCall, state: Any) -> Turn:
        """It is over."""
        return Finished()


@lru_cache(maxsize=256)
def parse_duration(text: str) -> timedelta:
    """An ISO 8601 duration in days, hours, minutes and seconds; raises ActionFailed (INPUT_VALIDATION)."""
    found = _DURATION.fullmatch(text)
    if found is None or text.endswith(("P", "T")):
        raise _invalid(f"Duration {text!r} is not an ISO 8601 duration.")
    return timedelta(**{unit: float(value.replace(",", ".")) for unit, value in found.groupdict("0").items()})


def _timestamp(text: str) -> datetime:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise _invalid(f"Timestamp {text!r} is not an ISO 8601 time.") from error
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _invalid(message: str) -> ActionFailed:
    return ActionFailed(message, stage=FailureStage.INPUT_VALIDATION)
