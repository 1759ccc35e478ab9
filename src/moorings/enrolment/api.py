"""The HTTP face of enrolment: a REST proxy event in, an answer out. Whatever arrives, the fault is never ours.

Source: API Gateway, "Lambda proxy integrations", input and output format (REST, payload 1.0).
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from moorings.enrolment.model import Ask, NodeHint, Source, Vended
from moorings.errors import Busy, Invalid, MooringsError, family_of

LARGEST_BODY = 4_096  # bytes; a full request has about 400
_KEY = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_POOL = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
FIELDS = frozenset({"key", "node", "pool"})
NODE_FIELDS = {"name": 255, "machine_id": 128}
OUR_BUG_TEXT = "the request could not be handled"

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Status, body and headers; what API Gateway wants of them is `as_proxy`."""

    status: int
    body: str = field(repr=False)  # may hold a code
    headers: Mapping[str, str] = field(default_factory=dict)

    def as_proxy(self) -> dict[str, Any]:
        """The answer in the form that the proxy integration demands."""
        # An activation code must not lie in anybody's cache.
        headers = {"Content-Type": "application/json", "Cache-Control": "no-store", **self.headers}
        return {"statusCode": self.status, "headers": headers, "body": self.body, "isBase64Encoded": False}


def route_of(event: Event) -> tuple[str, str]:
    """Method and route, as the gateway resolved them; what is no proxy event has neither."""
    if not isinstance(event, Mapping):
        return "", ""
    return str(event.get("httpMethod", "")), str(event.get("resource", ""))


def source_of(event: Event) -> Source:
    """Where the request came through. Only what the gateway itself says counts; headers are anybody's."""
    context = event.get("requestContext")
    identity = context.get("identity") if isinstance(context, Mapping) else None
    found = identity if isinstance(identity, Mapping) else {}
    return Source(vpce_id=str(found.get("vpceId") or ""), ip=str(found.get("sourceIp") or ""))


def plain_ask(event: Event) -> Ask:
    """The request of `GET /`: no key, so asking again takes another slot."""
    return Ask(source=source_of(event))


def keyed_ask(event: Event) -> Ask:
    """The request of `POST /activations`. Raises Invalid, naming the field and what it must be."""
    body = _body(event)
    unknown = sorted(set(body) - FIELDS)
    if unknown:
        raise Invalid(f"unknown field {_shown(unknown[0])}", remedy=f"send only {', '.join(sorted(FIELDS))}")
    key = body.get("key")
    if not isinstance(key, str) or not _KEY.fullmatch(key.lower()):
        raise Invalid("key must be a UUID", remedy="send a random UUID, and the same one when you ask again")
    pool = body.get("pool", "")
    if not isinstance(pool, str) or (pool and not _POOL.fullmatch(pool)):
        raise Invalid("pool must be the name of a pool", remedy="leave it out for the default pool")
    return Ask(source=source_of(event), key=key.lower(), pool=pool, node=_node(body.get("node", {})))


def granted(vended: Vended, *, region: str, plain: bool) -> Answer:
    """The answer that holds an activation; `plain` is the shape that scripts of the public sample read."""
    body: dict[str, Any] = {
        "ActivationId": vended.activation_id,
        "ActivationCode": vended.code,
        "Region": region,
    }
    if not plain:
        body["Pool"] = vended.pool.name
        body["Tags"] = dict(vended.pool.tags)
        body["ExpiresAt"] = vended.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return Answer(status=200, body=json.dumps(body))


def refusal(error: BaseException, *, request_id: str) -> Answer:
    """The answer for an error: `{error, message, remedy, request_id}`. A bug of ours says nothing about itself."""
    family = family_of(error)
    ours = isinstance(error, MooringsError) and family.http_status != 500
    body = {
        "error": family.word,
        "message": error.message if ours and isinstance(error, MooringsError) else OUR_BUG_TEXT,
        "remedy": error.remedy if ours and isinstance(error, MooringsError) else "tell the operator the request_id",
        "request_id": request_id,
    }
    headers = {}
    if family.http_status in (429, 503):
        after = error.retry_after.total_seconds() if isinstance(error, Busy) else 5
        headers["Retry-After"] = str(max(1, ceil(after)))
    return Answer(status=family.http_status, body=json.dumps(body), headers=headers)


def script(text: str) -> Answer:
    """A bootstrap script, as text."""
    return Answer(status=200, body=text, headers={"Content-Type": "text/plain; charset=utf-8"})


def _body(event: Event) -> dict[str, Any]:
    raw = event.get("body") or ""
    if not isinstance(raw, str):
        raise Invalid("the body is not JSON", remedy='send {"key": "<a random UUID>"}')
    try:
        data = base64.b64decode(raw, validate=True) if event.get("isBase64Encoded") else raw.encode()
        if len(data) > LARGEST_BODY:
            raise Invalid(f"the body exceeds {LARGEST_BODY} bytes", remedy="send key, node and pool alone")
        body = json.loads(data.decode("utf-8", "strict"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (UnicodeError, binascii.Error, ValueError, RecursionError) as error:
        raise Invalid("the body is not JSON", remedy='send {"key": "<a random UUID>"}') from error
    if not isinstance(body, dict):
        raise Invalid("the body is not a JSON object", remedy='send {"key": "<a random UUID>"}')
    return body


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names are all different: of two equal ones nobody knows which counts."""
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return made


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _node(value: object) -> NodeHint:
    if not isinstance(value, Mapping):
        raise Invalid("node must be an object", remedy="send name and machine_id in it, or leave it out")
    unknown = sorted(set(value) - set(NODE_FIELDS))
    if unknown:
        raise Invalid(f"unknown field node.{_shown(unknown[0])}", remedy="send name and machine_id alone")
    # Printable alone: a lone surrogate would break the line that audits the grant, a control character its reader.
    for name, longest in NODE_FIELDS.items():
        hint = value.get(name, "")
        if not isinstance(hint, str) or len(hint) > longest or not hint.isprintable():
            raise Invalid(f"node.{name} must be printable text of at most {longest} characters", remedy="shorten it")
    return NodeHint(name=value.get("name", ""), machine_id=value.get("machine_id", ""))


def _shown(name: str) -> str:
    return json.dumps(name[:40])
