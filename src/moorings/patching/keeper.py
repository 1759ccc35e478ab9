"""The keeper's Lambda function: run by a schedule, looks after every run that is due.

A person may invoke it with `{"collect": EXECUTION, "rehearse": BOOL}`, which the schedule never sends: it then removes
what that run left behind. So `moorings patch gc` needs lambda:InvokeFunction on this function, and no right in Azure.
"""

from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Any

from moorings.clock import SystemClock
from moorings.patching.assembly import LambdaCountdown, PatchingRoom
from moorings.settings import in_function, patching_settings

# The function may take a minute, and the next run of it begins then.
LONGEST_RUN = timedelta(seconds=55)


@cache
def _room() -> PatchingRoom:
    return PatchingRoom(patching_settings())


if in_function():
    _room()


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Look after what is due; the answer tells how many runs that were. Or collect what one run left behind."""
    room = _room()
    room.journal.begin(context.aws_request_id)
    countdown = LambdaCountdown(context, SystemClock(), most=LONGEST_RUN)
    try:
        if "collect" in event:
            return room.collect(str(event["collect"]), countdown, rehearse=event.get("rehearse") is True)
        return {"seen": room.keep(countdown)}
    finally:
        room.journal.flush()
