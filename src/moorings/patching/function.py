"""The Lambda function behind the runbook's steps. A call that fails raises: the step fails, and is tried again."""

from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Any

from moorings.clock import SystemClock
from moorings.errors import MooringsError
from moorings.patching.assembly import LambdaCountdown, PatchingRoom
from moorings.settings import in_function, patching_settings

# Automation cuts a step off after 300 s; each call is over long before.
LONGEST_CALL = timedelta(seconds=20)


@cache
def _room() -> PatchingRoom:
    return PatchingRoom(patching_settings())


if in_function():
    _room()  # while the environment starts, with a whole processor


class CallFailed(Exception):
    """What the runbook's step shows: the error's own words, and no trace."""


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Answer one step of the runbook."""
    room = _room()
    room.journal.begin(context.aws_request_id)
    try:
        return room.answer(event, LambdaCountdown(context, SystemClock(), most=LONGEST_CALL))
    except MooringsError as error:
        room.journal.record("call_failed", call=str(event.get("call")), error=error.message, remedy=error.remedy)
        room.journal.count("CallFailed")
        raise CallFailed(f"{error.message}; {error.remedy}") from None
    finally:
        room.journal.flush()
