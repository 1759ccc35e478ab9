"""The keeper's Lambda function: run by a schedule, looks after every run that is due."""

from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Any

from moorings.clock import SystemClock
from moorings.patching.assembly import LambdaCountdown, PatchingRoom
from moorings.settings import in_function, patching_settings

LONGEST_RUN = timedelta(seconds=50)


@cache
def _room() -> PatchingRoom:
    return PatchingRoom(patching_settings())


if in_function():
    _room()


def handler(_: Mapping[str, Any], context: Any) -> dict[str, int]:
    """Look after what is due; the answer tells how many runs that were."""
    room = _room()
    room.journal.begin(context.aws_request_id)
    try:
        return {"seen": room.keep(LambdaCountdown(context, SystemClock(), most=LONGEST_RUN))}
    finally:
        room.journal.flush()
