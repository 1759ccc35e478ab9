"""The API's answers to what goes wrong, made by the API's own code."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from docs.generator.tables import code, table

from moorings import errors
from moorings.cli.door import EXITS
from moorings.enrolment import api
from moorings.enrolment.service import ASK_OPERATOR, NOT_PERMITTED
from moorings.errors import (
    FAMILIES,
    OUR_BUG,
    Busy,
    CloudFault,
    Invalid,
    Misconfigured,
    MooringsError,
    RateLimited,
    Refused,
)

REQUEST_ID = "5f0c6b1e-…"
KEY = "0b1f6f0e-6f3c-4c55-9d0e-3a1e6a4b7c2d"


def error_families() -> str:
    """Each family with its HTTP status and exit code, most specific first."""
    rows = [
        (code(family.__name__), str(shown.http_status), str(shown.exit_code), code(shown.word), _first_line(family))
        for family, shown in FAMILIES
    ]
    rows.append(
        ("anything else", str(OUR_BUG.http_status), str(OUR_BUG.exit_code), code(OUR_BUG.word), "A bug of ours.")
    )
    return table(("family", "HTTP status", "exit code", "`error` in the body", "what it says"), rows)


def exit_codes() -> str:
    """How `moorings` can end."""
    return table(("exit code", "means"), [(str(number), meaning) for number, meaning in EXITS.items()])


def _first_line(family: type[MooringsError]) -> str:
    return (family.__doc__ or "").partition("\n")[0]


BAD_BODIES: tuple[tuple[str, str], ...] = (
    ("no body, or not JSON", "{"),
    ("JSON, but no object", "[]"),
    ("a name twice in one object", f'{{"key": "{KEY}", "key": "{KEY}"}}'),
    ("over 4,096 bytes", json.dumps({"key": KEY, "pool": "x" * api.LARGEST_BODY})),
    ("a field that is not known", json.dumps({"key": KEY, "proof": "network"})),
    ("`key` missing or no UUID", "{}"),
    ("`pool` that cannot be a name", json.dumps({"key": KEY, "pool": "No Pool"})),
    ("`node` that is no object", json.dumps({"key": KEY, "node": "web-01"})),
    ("a field of `node` that is not known", json.dumps({"key": KEY, "node": {"ip": "10.0.0.5"}})),
    ("`node.name` over 255 characters or with control characters", json.dumps({"key": KEY, "node": {"name": "a\nb"}})),
    ("`node.machine_id` over 128 characters", json.dumps({"key": KEY, "node": {"machine_id": "x" * 129}})),
)


def bad_requests() -> str:
    """What `POST /activations` answers to a malformed body."""
    rows = [(what, *_answered(_problem(body))) for what, body in BAD_BODIES]
    return table(("body", "status", "`message`", "`remedy`"), rows)


def _problem(body: str) -> MooringsError:
    try:
        api.keyed_ask({"body": body})
    except Invalid as error:
        return error
    raise AssertionError(f"the API takes {body!r}")


_SOON = timedelta(seconds=2)
_NEXT_HOUR = RateLimited(
    "the pool has granted its hour's share",
    retry_after=timedelta(minutes=24, seconds=10),
    remedy="try again next hour",
)
_NO_ANSWER = CloudFault("ssm:GetParameter got no answer: ReadTimeoutError", call="ssm:GetParameter")

OTHERS: Mapping[str, MooringsError] = {
    "no rule opens this pool to this source; no such pool or route": Refused(NOT_PERMITTED, remedy=ASK_OPERATOR),
    "the pool's grants of this hour are used up": _NEXT_HOUR,
    "no activation could be had within 20 s": Busy("no activation could be had in time", retry_after=_SOON),
    "a service throttles, retries included": Busy("dynamodb:UpdateItem is throttled", retry_after=_SOON),
    "a service failed or did not answer": _NO_ANSWER,
    "a right or a setting of the stack is missing": Misconfigured("the reason, which only the log tells"),
}


def refusals() -> str:
    """What any call answers when it cannot be served."""
    rows = [(what, *_answered(error), _retry_after(error)) for what, error in OTHERS.items()]
    return table(("why", "status", "`message`", "`remedy`", "`Retry-After`"), rows)


def _answered(error: MooringsError) -> tuple[str, str, str]:
    answer = api.refusal(error, request_id=REQUEST_ID)
    body: dict[str, Any] = json.loads(answer.body)
    assert body["error"] == errors.family_of(error).word
    return (f"{answer.status} {code(body['error'])}", code(body["message"]), code(body["remedy"]))


def _retry_after(error: MooringsError) -> str:
    return api.refusal(error, request_id=REQUEST_ID).headers.get("Retry-After", "")
