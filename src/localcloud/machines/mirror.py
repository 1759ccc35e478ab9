"""The package source: serves the catalogue of packages to machines, as the publisher's storage would."""

import re
from collections.abc import Mapping

from localcloud.wire import Headers, Request, Response

# The publisher keeps a bucket a Region, all with the same content.
_PATH = re.compile(r"/amazon-ssm-[a-z0-9-]+/latest/(?P<name>[A-Za-z0-9_./-]+)")


class Mirror:
    """GET and HEAD of the catalogue in any Region's bucket; everything else is refused as the storage service does."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    def answer(self, request: Request) -> Response:
        """One request, answered."""
        asked = _PATH.fullmatch(request.path)
        content = self._files.get(asked["name"]) if asked else None
        if request.method not in {"GET", "HEAD"}:
            return _refusal(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
        if content is None:
            return _refusal(403, "AccessDenied", "Access Denied")
        headers = Headers.of({"Content-Type": "binary/octet-stream"})
        return Response(status=200, headers=headers, body=content if request.method == "GET" else b"")


def _refusal(status: int, code: str, message: str) -> Response:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Response(status=status, headers=Headers.of({"Content-Type": "application/xml"}), body=body.encode())
