"""A service for agents under test: it answers from a script and keeps every request as it came over the wire.

A request for an upgrade becomes a control channel (see `channel.py`), once `channels` says so.
"""

import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.localcloud.machines.channel import Channel


@dataclass(frozen=True)
class Seen:
    """One request: headers in the order sent, the body de-chunked."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: str

    @property
    def target(self) -> str:
        return dict(self.headers).get("X-Amz-Target", "").rpartition(".")[2] or self.path

    @property
    def json(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed


Answer = tuple[int, Any]  # status; an object for JSON, else text
Script = Callable[[Seen, int], Answer]  # (request, how many of this target came before)


class Stub:
    """Serves plain HTTP/1.1 on loopback until closed."""

    def __init__(self, script: Script) -> None:
        self.seen: list[Seen] = []
        self.channels: list[Channel] = []
        self._script = script
        self._arrived = threading.Condition()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def of(self, target: str) -> list[Seen]:
        """The requests for one operation so far."""
        return [one for one in self.seen if one.target == target]

    def wait_for(self, target: str, count: int = 1, timeout: float = 60.0) -> list[Seen]:
        """Wait until an operation has been asked for that often."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.of(target)) >= count, timeout), [s.target for s in self.seen]
        return self.of(target)

    def close(self) -> None:
        self._listening.close()
        for connection in self._connections:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while True:
                try:
                    request = _read(stream)
                except (OSError, ValueError):
                    return
                if request is None:
                    return
                with self._arrived:
                    earlier = len(self.of(request.target))
                    self.seen.append(request)
                    self._arrived.notify_all()
                if ("Upgrade", "websocket") in request.headers:
                    self._serve_channel(connection, request)
                    return
                status, answer = self._script(request, earlier)
                body = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
                head = f"HTTP/1.1 {status} Answer\r\nx-amzn-RequestId: req-1\r\nContent-Length: {len(body)}\r\n\r\n"
                try:
                    connection.sendall(head.encode() + body)
                except OSError:
                    return

    def wait_for_channel(self, count: int = 1, timeout: float = 60.0) -> Channel:
        """The control channel that was opened as the `count`-th, once it has said who it is."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.channels) >= count, timeout), [s.target for s in self.seen]
        channel = self.channels[count - 1]
        channel.wait(lambda: channel.greeting, timeout)
        return channel

    def _serve_channel(self, connection: socket.socket, request: Seen) -> None:
        channel = Channel(connection, dict(request.headers)["Sec-WebSocket-Key"])
        with self._arrived:
            self.channels.append(channel)
            self._arrived.notify_all()
        channel.serve()


def _read(stream: Any) -> Seen | None:
    line = stream.readline().decode()
    if not line:
        return None
    method, path, _ = line.split()
    headers = []
    while (line := stream.readline().decode().rstrip("\r\n")) != "":
        name, _, value = line.partition(": ")
        headers.append((name, value))
    found = dict(headers)
    if found.get("Transfer-Encoding") == "chunked":
        body = b""
        while size := int(stream.readline(), 16):
            body += stream.read(size)
            stream.readline()
        stream.readline()
    else:
        body = stream.read(int(found.get("Content-Length", "0")))
    return Seen(method=method, path=path, headers=headers, body=body.decode())
