"""Where baselines and override lists come from: a URL (https, s3, file, data) or the JSON itself.

What lies in S3 is read with the node's own role token, path style, as far as the server reaches S3 at all.
"""

import base64
import hashlib
import http.client
import json
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlsplit

from localcloud.machines.agent.signing import Token, authorization, hmac_sign
from localcloud.machines.patching.baseline import Unusable

TIMEOUT_SECONDS = 20.0


class Storage:
    """Reads JSON documents; without a token nothing of S3 can be read."""

    def __init__(self, *, region: str, token: Token | None, tls: ssl.SSLContext) -> None:
        self._region = region
        self._token = token
        self._tls = tls

    def json_at(self, place: str) -> Any:
        """The JSON at this place; Unusable with the reason."""
        try:
            return json.loads(self._text(place))
        except (OSError, http.client.HTTPException, ValueError) as error:
            if isinstance(error, Unusable):
                raise
            raise Unusable(f"{place!r} cannot be read: {error}") from error

    def _text(self, place: str) -> str:
        parts = urlsplit(place)
        if parts.scheme == "file":
            return Path(parts.path).read_text()
        if parts.scheme == "data":
            head, _, body = place.partition(",")
            data = unquote_to_bytes(body)
            return (base64.b64decode(data) if head.endswith(";base64") else data).decode()
        if parts.scheme == "https":
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            return self._get(parts.netloc, target or "/", {})
        if parts.scheme == "s3":
            return self._get_object(parts.netloc, parts.path.lstrip("/"))
        if place.lstrip()[:1] in {"{", "["}:
            return place
        raise Unusable(f"{place!r} is neither JSON nor a URL that this server can read")

    def _get_object(self, bucket: str, key: str) -> str:
        if self._token is None:
            raise Unusable("this server is not registered, so it has no rights to read from S3")
        host, path = f"s3.{self._region}.amazonaws.com", quote(f"/{bucket}/{key}")
        date, digest = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"), hashlib.sha256(b"").hexdigest()
        headers = {
            "host": host,
            "x-amz-content-sha256": digest,
            "x-amz-date": date,
            "x-amz-security-token": self._token.session_token,
        }
        headers["authorization"] = authorization(
            method="GET",
            path=path,
            signed=sorted(headers.items()),
            body=b"",
            date=date,
            scope=f"{date[:8]}/{self._region}/s3/aws4_request",
            credential=self._token.access_key,
            sign=hmac_sign(self._token.secret_key),
        )
        return self._get(host, path, headers)

    def _get(self, host: str, target: str, headers: dict[str, str]) -> str:
        connection = http.client.HTTPSConnection(host, timeout=TIMEOUT_SECONDS, context=self._tls)
        try:
            connection.request("GET", target, headers=headers)
            answer = connection.getresponse()
            body = answer.read().decode()
        finally:
            connection.close()
        if answer.status != 200:
            raise Unusable(f"https://{host}{target.partition('?')[0]} was answered with status {answer.status}: {body}")
        return body
