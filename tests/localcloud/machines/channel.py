"""The service's end of a control channel, for agents under test: it keeps every frame and acknowledges replies.

It reads and writes the bytes by itself, by the same page as the agent, so that one mistake cannot hide another.
"""

import base64
import contextlib
import hashlib
import json
import socket
import struct
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Frame:
    """One binary message of the agent."""

    kind: str
    id: str
    text: str
    head: bytes

    @property
    def json(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.text)
        return parsed


class Channel:
    """One open connection."""

    def __init__(self, connection: socket.socket, key: str) -> None:
        self.greeting = ""
        self.frames: list[Frame] = []
        self.pings: list[bytes] = []
        self.acknowledges = True
        self.ended = False
        self._connection = connection
        self._changed = threading.Condition()
        digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        connection.sendall(f"{head}{base64.b64encode(digest).decode()}\r\n\r\n".encode())

    def wait(self, condition: Callable[[], object], timeout: float = 60.0) -> None:
        """Wait until something holds."""
        with self._changed:
            assert self._changed.wait_for(condition, timeout), [(frame.kind, frame.text) for frame in self.frames]

    def of(self, kind: str) -> list[Frame]:
        """The frames of one kind so far."""
        return [frame for frame in self.frames if frame.kind == kind]

    def push(self, kind: str, payload: dict[str, Any], *, name: str = "") -> None:
        """Send a message to the agent."""
        body = json.dumps(payload).encode()
        number = uuid.UUID(name) if name else uuid.uuid4()
        head = struct.pack(">I32sIQQQ", 116, kind.encode().ljust(32, b"\0"), 1, int(time.time() * 1000), 0, 0)
        swapped = number.bytes[8:] + number.bytes[:8]
        self._send(2, head + swapped + hashlib.sha256(body).digest() + struct.pack(">II", 0, len(body)) + body)

    def ping(self, text: bytes) -> None:
        self._send(9, text)

    def cut(self) -> None:
        """End the connection without a word."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def serve(self) -> None:
        """Read until the connection ends."""
        with contextlib.suppress(OSError, EOFError), self._connection.makefile("rb") as stream:
            while True:
                opcode, payload = _frame(stream)
                self._take(opcode, payload)
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def _take(self, opcode: int, payload: bytes) -> None:
        with self._changed:
            if opcode == 1:
                self.greeting = payload.decode()
            elif opcode == 9:
                self.pings.append(payload)
                self._send(10, payload)
            elif opcode == 10:
                self.pings.append(b"answer: " + payload)
            elif opcode == 2:
                name = uuid.UUID(bytes=payload[72:80] + payload[64:72])
                frame = Frame(payload[4:36].decode().rstrip(), str(name), payload[120:].decode(), payload[:120])
                self.frames.append(frame)
                if frame.kind == "agent_job_reply" and self.acknowledges:
                    self.push("agent_job_reply_ack", {"jobId": frame.json["jobId"], "acknowledgedMessageId": frame.id})
            self._changed.notify_all()

    def _send(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        head = struct.pack(">BB", 0x80 | opcode, size) if size < 126 else struct.pack(">BBH", 0x80 | opcode, 126, size)
        if size >= 1 << 16:
            head = struct.pack(">BBQ", 0x80 | opcode, 127, size)
        self._connection.sendall(head + payload)


def _frame(stream: Any) -> tuple[int, bytes]:
    def exactly(count: int) -> bytes:
        data: bytes = stream.read(count)
        if len(data) < count:
            raise EOFError
        return data

    first, second = exactly(2)
    assert second & 0x80, "a client masks what it sends"
    size = second & 0x7F
    if size == 126:
        (size,) = struct.unpack(">H", exactly(2))
    elif size == 127:
        (size,) = struct.unpack(">Q", exactly(8))
    mask = exactly(4)
    data = exactly(size)
    assert first & 0x80, "the agent sends whole messages"
    return first & 0x0F, bytes(byte ^ mask[place % 4] for place, byte in enumerate(data))
