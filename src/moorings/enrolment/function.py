"""The Lambda function behind the private API. `handler` is for Lambda, `respond` for everything else."""

from datetime import timedelta
from functools import cache
from typing import Any

from moorings.enrolment import api
from moorings.enrolment.api import Answer, Event
from moorings.enrolment.assembly import Enrolment
from moorings.enrolment.bootstrap import render
from moorings.enrolment.service import ASK_OPERATOR, DEADLINE, NOT_PERMITTED
from moorings.errors import MooringsError, Refused
from moorings.settings import enrolment_settings, in_function

# What is left after our own deadline: enough to answer before Lambda cuts the function off.
TO_ANSWER = timedelta(seconds=3)


@cache
def _enrolment() -> Enrolment:
    return Enrolment(enrolment_settings())


if in_function():
    # A starting environment has a whole processor, one that answers only its memory's share: clients are made before.
    _enrolment()


def handler(event: Event, context: Any) -> dict[str, Any]:
    """Answer one proxy event."""
    enrolment = _enrolment()
    left = timedelta(milliseconds=context.get_remaining_time_in_millis()) - TO_ANSWER
    enrolment.journal.begin(context.aws_request_id)
    try:
        return respond(event, enrolment=enrolment, time=min(DEADLINE, left), request_id=context.aws_request_id)
    finally:
        enrolment.journal.flush()


def respond(event: Event, *, enrolment: Enrolment, time: timedelta, request_id: str) -> dict[str, Any]:
    """Answer one proxy event within `time`. Never raises: an unexpected error is journalled and answered as ours."""
    try:
        return _answer(event, enrolment=enrolment, time=time).as_proxy()
    except MooringsError as error:
        enrolment.journal.record("answered_with_error", error=type(error).__name__, message=error.message)
        return api.refusal(error, request_id=request_id).as_proxy()
    except Exception as error:  # the outermost door
        enrolment.journal.bug(error)
        return api.refusal(error, request_id=request_id).as_proxy()


def _answer(event: Event, *, enrolment: Enrolment, time: timedelta) -> Answer:
    deadline = enrolment.clock.now() + time
    region = enrolment.settings.region
    match api.route_of(event):
        case ("GET", "/"):
            vended = enrolment.vending.vend(api.plain_ask(event), deadline=deadline)
            return api.granted(vended, region=region, plain=True)
        case ("POST", "/activations"):
            vended = enrolment.vending.vend(api.keyed_ask(event), deadline=deadline)
            return api.granted(vended, region=region, plain=False)
        case ("GET", "/bootstrap/linux"):
            return api.script(render.linux(_script_settings(event, enrolment)))
        case ("GET", "/bootstrap/windows"):
            return api.script(render.windows(_script_settings(event, enrolment)))
        case _:
            raise Refused(NOT_PERMITTED, remedy=ASK_OPERATOR)


def _script_settings(event: Event, enrolment: Enrolment) -> render.ScriptSettings:
    filled_in = enrolment.vending.bootstrap(api.plain_ask(event)).bootstrap
    return render.ScriptSettings(
        url=enrolment.settings.api_url,
        region=enrolment.settings.region,
        packages=filled_in.packages,
        signing_key=filled_in.signing_key,
    )
