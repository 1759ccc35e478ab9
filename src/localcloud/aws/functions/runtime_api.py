"""Lambda's Runtime API, the server's side: what the runtime interface client of one environment asks and posts.

Each environment has an address of its own (the client takes a host and a port, no path), and nobody serves it in the
background: whoever waits for the environment reads its connections. Between invocations nothing is read, as a frozen
environment would not be heard either. Source: AWS Lambda, custom runtime API 2018-06-01.
"""

import socket
from dataclasses import dataclass

import h11

from localcloud.aws.functions.model import SYNCHRONOUS_PAYLOAD

_PREFIX = "/2018-06-01/runtime/"
_SEND_TIMEOUT = 10.0  # seconds for a process that does not read what it asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """GET invocation/next: the runtime is ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """The end of an invocation, or of a failed start (`request_id` empty)."""

    request_id: str
    body: bytes
    error: bool
    too_large: bool = False


class Connection:
    """One HTTP/1.1 connection of the client."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._http = h11.Connection(h11.SERVER)
        self._target = b""
        self._body = bytearray()
        self._length = 0

    def receive(self) -> Asked | Posted | None:
        """Read once; the message that is complete now, or None. Raises EOFError once the client is gone."""
        try:
            data = self.socket.recv(262_144)
        except (ConnectionError, TimeoutError) as error:
            raise EOFError from error
        self._http.receive_data(data)
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                if self._http.they_are_waiting_for_100_continue:
                    self._send(h11.InformationalResponse(status_code=100, headers=[]))
                return None
            if isinstance(event, h11.Request):
                self._target, self._body, self._length = event.target, bytearray(), 0
            elif isinstance(event, h11.Data):
                self._length += len(event.data)
                if self._length <= SYNCHRONOUS_PAYLOAD:
                    self._body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return self._message()
            else:
                raise EOFError

    def answer(self, status: int, body: bytes = b"", headers: tuple[tuple[str, str], ...] = ()) -> None:
        """Answer the message that `receive` returned last. A client that is gone is no error here."""
        fields = [*headers, ("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        try:
            # In one piece: the client's delayed acknowledgement would hold a second one back for 40 ms.
            self._send(h11.Response(status_code=status, headers=fields), h11.Data(data=body), h11.EndOfMessage())
            self._http.start_next_cycle()
        except (OSError, h11.LocalProtocolError):
            self.close()

    def close(self) -> None:
        """Hang up; safe to repeat."""
        self.socket.close()

    def _send(self, *events: h11.Event) -> None:
        data = b"".join(filter(None, map(self._http.send, events)))
        self.socket.settimeout(_SEND_TIMEOUT)
        self.socket.sendall(data)

    def _message(self) -> Asked | Posted:
        path = self._target.decode("latin-1").removeprefix(_PREFIX)
        if path == "invocation/next":
            return Asked()
        if path == "init/error":
            return Posted(request_id="", body=bytes(self._body), error=True)
        request_id, _, kind = path.removeprefix("invocation/").partition("/")
        return Posted(
            request_id=request_id,
            body=bytes(self._body),
            error=kind == "error",
            too_large=self._length > SYNCHRONOUS_PAYLOAD,
        )
