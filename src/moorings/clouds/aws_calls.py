"""Every call to AWS, told as it ends: what was called, how long it took, under which id AWS knows it.

Nothing that was sent or answered is told, so no secret can be.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3

_BEGAN = "moorings_began"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call, with all its tries."""

    name: str  # such as ssm:CreateActivation
    seconds: float
    status: int  # of the last answer; 0 if none came
    request_id: str
    retries: int
    error: str  # the service's error code, or the class of what kept an answer from coming


Told = Callable[[Call], None]


def watch(session: boto3.Session, told: Told, *, now: Callable[[], float] = time.monotonic) -> None:
    """Tell of each call of clients that `session` makes from now on, on whichever thread it happens."""

    def began(*, context: dict[str, Any], **_: object) -> None:
        context[_BEGAN] = now()

    def answered(*, model: Any, parsed: dict[str, Any], context: dict[str, Any], **_: object) -> None:
        about = parsed.get("ResponseMetadata", {})
        told(
            Call(
                name=_name(model),
                seconds=now() - context[_BEGAN],
                status=int(about.get("HTTPStatusCode", 0)),
                request_id=str(about.get("RequestId", "")),
                retries=int(about.get("RetryAttempts", 0)),
                error=str(parsed.get("Error", {}).get("Code", "")),
            )
        )

    def unanswered(*, exception: Exception, context: dict[str, Any], event_name: str, **_: object) -> None:
        service, operation = event_name.rsplit(".", 2)[1:]
        told(
            Call(
                name=f"{service}:{operation}",
                seconds=now() - context[_BEGAN],
                status=0,
                request_id="",
                retries=0,
                error=type(exception).__name__,
            )
        )

    session.events.register("before-call.*.*", began)
    session.events.register("after-call.*.*", answered)
    session.events.register("after-call-error.*.*", unanswered)


def _name(model: Any) -> str:
    """As policies spell it, but for services whose prefix there is another than their id."""
    return f"{model.service_model.service_id.hyphenize()}:{model.name}"
