"""The keeper's Lambda function: run by a schedule for everything, woken by the API's function for one pool."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from moorings.enrolment.assembly import UNHURRIED, Enrolment
from moorings.settings import enrolment_settings, in_function

SCHEDULE = "aws.events"  # the source that EventBridge gives to the event of a schedule


@cache
def _enrolment() -> Enrolment:
    return Enrolment(enrolment_settings(), patience=UNHURRIED)


if in_function():
    _enrolment()  # while the environment starts, as in function.py


def handler(event: Mapping[str, Any], context: Any) -> dict[str, str]:
    """Look after one pool (`{"pool": name}`) or, for any other event, after everything.

    A failure is raised after the rest has been done, so that the function's error metric shows it.
    """
    enrolment = _enrolment()
    enrolment.journal.begin(context.aws_request_id)
    try:
        keep(event, enrolment=enrolment)
    finally:
        enrolment.journal.flush()
    return {"status": "done"}


def keep(event: Mapping[str, Any], *, enrolment: Enrolment) -> None:
    """Do what `event` asks for."""
    if event.get("source") == SCHEDULE:
        # For the alarm of a schedule that is off, which wakes would hide. Written at once: the schedule has made a run
        # that is cut off later, too.
        enrolment.journal.count("ScheduledRuns")
        enrolment.journal.flush()
    pool = event.get("pool")
    if isinstance(pool, str):
        enrolment.upkeep.prepare(pool)
    else:
        enrolment.upkeep.run()
