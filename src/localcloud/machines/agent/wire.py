"""HTTP as the agent speaks it: one kept connection a channel, headers in the agent's order, bodies whole or chunked."""

import contextlib
import http.client
import socket
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from localcloud.machines.agent.signing import HeaderList


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer of a service."""

    status: int
    body: bytes
    request_id: str = ""


def trust(bundle: Path) -> ssl.SSLContext:
    """A client's TLS with the system's authorities."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cafile=str(bundle))
    return context


class Channel:
    """One connection to one endpoint, opened when needed and again when it has gone stale."""

    def __init__(self, base_url: str, tls: ssl.SSLContext | None, *, timeout: float) -> None:
        parts = urlsplit(base_url)
        self.host = parts.netloc
        self._secure = parts.scheme == "https"
        self._tls = tls
        self._timeout = timeout
        self._connection: http.client.HTTPConnection | None = None
        self._ended = False
        self._turn = threading.Lock()

    def exchange(self, method: str, path: str, headers: HeaderList, body: bytes) -> Answer:
        """Send one request and read its answer, one after another; OSError or HTTPException if there is none."""
        with self._turn:
            kept = self._connection is not None
            try:
                return self._exchange(method, path, headers, body)
            except (ConnectionError, http.client.RemoteDisconnected):
                self.close()
                if not kept or self._ended:
                    raise
            return self._exchange(method, path, headers, body)

    def end(self) -> None:
        """Drop the connection for good; a call that waits on it in another thread fails."""
        self._ended = True
        self.close()

    def close(self) -> None:
        """Drop the connection; the next call opens another."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if connection.sock is not None:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)  # wakes a thread that reads from it
        connection.close()

    def _exchange(self, method: str, path: str, headers: HeaderList, body: bytes) -> Answer:
        if self._ended:
            raise ConnectionError("the agent is stopping")
        connection = self._connection or self._open()
        self._connection = connection
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        finally:
            if self._ended:
                connection.close()  # it may have been made after `end` looked for it
        if response.will_close:
            self.close()
        return Answer(status=response.status, body=content, request_id=response.getheader("x-amzn-RequestId", ""))

    def _open(self) -> http.client.HTTPConnection:
        if self._secure:
            return http.client.HTTPSConnection(self.host, timeout=self._timeout, context=self._tls)
        return http.client.HTTPConnection(self.host, timeout=self._timeout)


def chunked(body: bytes) -> bytes:
    """The body as one chunk and the end mark."""
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
