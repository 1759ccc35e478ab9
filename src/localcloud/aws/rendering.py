"""Answers and refusals in the protocol of the called service."""

import json
import re
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from moto.core.serialize import get_serializer_class

from localcloud.aws.catalogue import Target
from localcloud.errors import ServiceError
from localcloud.wire import Headers, Response

_JSON_CODE = re.compile(rb'"(?:__type|code|Code)"\s*:\s*"([^"]+)"')
_XML_CODE = re.compile(rb"<Code>([^<]+)</Code>")
JSON_CONTENT = "application/x-amz-json-1.1"


def render(result: Mapping[str, Any], target: Target, request_id: str) -> Response:
    """An operation's output members as the service sends them."""
    serializer = get_serializer_class(target.service, target.protocol)(target.model)
    made = serializer.serialize(dict(result))
    body = made["body"]
    headers = {**made["headers"], "x-amzn-RequestId": request_id}
    return Response(
        status=made["status_code"],
        headers=Headers.of({name: str(value) for name, value in headers.items()}),
        body=body.encode() if isinstance(body, str) else body,
    )


def render_error(error: ServiceError, *, service: str, protocol: str, request_id: str) -> Response:
    """A refusal as the service sends it."""
    if service == "ssmmessages":
        return _channel_error(error, request_id)
    if protocol in {"json", "rest-json"}:
        return _json_error(error, protocol, request_id)
    kind = "Receiver" if error.status >= 500 else "Sender"
    code, message = escape(error.code), escape(error.message)
    extra = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in error.fields.items())
    if protocol == "ec2":
        inner = f"<Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
        text = f"<Response>{inner}<RequestID>{request_id}</RequestID></Response>"
    elif service == "s3":
        inner = f"<Code>{code}</Code><Message>{message}</Message>{extra}"
        text = f"<Error>{inner}<RequestId>{request_id}</RequestId></Error>"
    else:
        inner = f"<Error><Type>{kind}</Type><Code>{code}</Code><Message>{message}</Message>{extra}</Error>"
        text = f"<ErrorResponse>{inner}<RequestId>{request_id}</RequestId></ErrorResponse>"
    return Response(
        status=error.status,
        headers=Headers((("Content-Type", "text/xml"), ("x-amzn-RequestId", request_id))),
        body=f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode(),
    )


def error_code(response: Response) -> str:
    """The error code in an answer of the service (moto's too); empty for a success."""
    if response.status < 400:
        return ""
    named = (
        response.headers.get("x-amzn-ErrorType")
        or _first(_JSON_CODE, response.body)
        or _first(_XML_CODE, response.body)
    )
    return named.rsplit("#", 1)[-1] or str(response.status)


def _first(pattern: re.Pattern[bytes], body: bytes) -> str:
    found = pattern.search(body)
    return found[1].decode("utf-8", "replace") if found else ""


def _channel_error(error: ServiceError, request_id: str) -> Response:
    """The control channel answers in XML whatever it is asked in; agents look for the code as an element's name."""
    text = f"<{error.code}><Message>{escape(error.message)}</Message></{error.code}>"
    named = (("Content-Type", "application/xml"), ("x-amzn-RequestId", request_id), ("x-amzn-ErrorType", error.code))
    return Response(status=error.status, headers=Headers(named), body=text.encode())


def _json_error(error: ServiceError, protocol: str, request_id: str) -> Response:
    body: dict[str, Any] = {"__type": error.code, "message": error.message, **error.fields}
    content = JSON_CONTENT
    if protocol == "rest-json":
        content = "application/json"
        body["Type"] = "User" if error.status < 500 else "Service"
    return Response(
        status=error.status,
        headers=Headers(
            (("Content-Type", content), ("x-amzn-RequestId", request_id), ("x-amzn-ErrorType", error.code))
        ),
        body=json.dumps(body).encode(),
    )
