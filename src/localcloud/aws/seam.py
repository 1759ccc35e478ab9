"""Joins botocore to an AWS endpoint in the same process: no socket, no server, the same bytes.

Everything above the transport stays botocore's own: serialisers, signatures, retries, error parsing.
"""

import io
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectionClosedError

from localcloud.errors import ConnectionLost
from localcloud.server import Handler
from localcloud.wire import Headers, Request

_DEFAULT_PORTS = {"http": 80, "https": 443}


class _Raw(io.BytesIO):
    """A body as urllib3 hands it over."""

    def stream(self, amt: int = 65536, **_: Any) -> Iterator[bytes]:
        while chunk := self.read(amt):
            yield chunk


def attach(session_or_client: Any, dispatch: Handler) -> None:
    """Send every request of a boto3 (or botocore) session or client to `dispatch` (`world.endpoint.dispatch`).

    Clients made from a session before it was attached are not affected. A lost answer surfaces as botocore's
    ConnectionClosedError, which its retry modes treat as they treat a connection that broke.
    """
    if hasattr(session_or_client, "meta"):
        emitter = session_or_client.meta.events
    elif hasattr(session_or_client, "events"):
        emitter = session_or_client.events  # boto3
    else:
        emitter = session_or_client.get_component("event_emitter")  # botocore

    def send(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        try:
            response = dispatch(as_request(request))
        except ConnectionLost as error:
            raise ConnectionClosedError(error=error, endpoint_url=request.url, request=request) from error
        headers = {name.lower(): value for name, value in response.headers.items}
        body = b"" if request.method == "HEAD" else response.body
        return AWSResponse(request.url, response.status, headers, _Raw(body))

    emitter.register("before-send", send)


def as_request(prepared: AWSPreparedRequest) -> Request:
    """A prepared botocore request as the endpoint takes it."""
    url = urlsplit(prepared.url)
    host = url.hostname or ""
    if url.port and url.port != _DEFAULT_PORTS.get(url.scheme):
        host = f"{host}:{url.port}"
    headers = [("Host", host)] + [
        (name, value.decode("latin-1") if isinstance(value, bytes) else str(value))
        for name, value in prepared.headers.items()
        if name.lower() != "host"
    ]
    return Request(
        method=prepared.method,
        path=url.path or "/",
        query=url.query,
        headers=Headers(tuple(headers)),
        body=_body(prepared.body),
    )


def _body(body: Any) -> bytes:
    if body is None:
        return b""
    if hasattr(body, "read"):
        body = body.read()
    return body.encode() if isinstance(body, str) else bytes(body)
