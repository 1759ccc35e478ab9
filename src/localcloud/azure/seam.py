"""Joins Azure's SDKs to the local Azure in the same process: no socket, the same bytes.

`ComputeManagementClient(credential, subscription, base_url=URL, transport=transport(azure.dispatch))`, likewise
credentials of azure-identity. Everything above the transport stays the SDK's own: policies, retries, polling.
"""

import io
from typing import Any
from urllib.parse import urlsplit

import requests
from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import RequestsTransport
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPResponse

from localcloud.errors import ConnectionLost
from localcloud.server import Handler
from localcloud.wire import Headers, Request

URL = "https://localhost"


class _Adapter(BaseAdapter):
    def __init__(self, dispatch: Handler) -> None:
        super().__init__()
        self._dispatch = dispatch

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Answer in this thread; a lost answer is a broken connection."""
        url = urlsplit(str(request.url))
        body = request.body or b""
        assert isinstance(body, str | bytes)  # the management clients send no streams
        asked = Request(
            method=str(request.method),
            path=url.path,
            query=url.query,
            headers=Headers.of(
                [("Host", url.netloc), *((name, str(value)) for name, value in request.headers.items())]
            ),
            body=body.encode() if isinstance(body, str) else body,
        )
        try:
            answer = self._dispatch(asked)
        except ConnectionLost as error:
            raise requests.exceptions.ConnectionError(error, request=request) from error
        response = requests.Response()
        response.status_code = answer.status
        response.headers = CaseInsensitiveDict(answer.headers.items)
        response.raw = HTTPResponse(
            io.BytesIO(answer.body), headers=dict(answer.headers.items), status=answer.status, preload_content=False
        )
        response.url, response.request = str(request.url), request
        return response

    def close(self) -> None:
        """Nothing is open."""


def transport(dispatch: Handler) -> RequestsTransport:
    """A transport for any client of azure-core that answers from `dispatch` (`azure.dispatch`)."""
    session = requests.Session()
    session.trust_env = False
    session.mount("https://", _Adapter(dispatch))
    return RequestsTransport(session=session, session_owner=False)


class Bearer:
    """A credential that always gives the same token, such as `azure.operator()`."""

    def __init__(self, token: str) -> None:
        self._token = token

    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        """The token; it never expires as far as the client knows."""
        return AccessToken(self._token, 2**33)
