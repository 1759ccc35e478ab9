"""The package source: serves the catalogue of packages to machines, as the publisher's storage would."""

from collections.abc import Mapping

from localcloud.wire import Headers, Request, Response


class Mirror:
    """GET and HEAD of known paths; everything else is refused as the storage service refuses it."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    def answer(self, request: Request) -> Response:
        """One request, answered."""
        content = self._files.get(request.path)
        if request.method not in {"GET", "HEAD"}:
            return _refusal(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
        if content is None:
            return _refusal(403, "AccessDenied", "Access Denied")
        headers = Headers.of({"Content-Type": "binary/octet-stream"})
        return Response(status=200, headers=headers, body=content if request.method == "GET" else b"")


def _refusal(status: int, code: str, message: str) -> Response:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Response(status=status, headers=Headers.of({"Content-Type": "application/xml"}), body=body.encode())
