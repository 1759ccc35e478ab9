"""A WebSocket client (RFC 6455), headers in the agent's order; one thread reads, any may send."""

import base64
import contextlib
import hashlib
import os
import select
import socket
import ssl
import struct
import threading
import time
from urllib.parse import urlsplit

from localcloud.machines.agent.signing import HeaderList
from localcloud.machines.agent.wire import Answer

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
MAX_MESSAGE_BYTES = 1 << 22
MAX_HEAD_BYTES = 1 << 16
_FINAL, _MASKED = 0x80, 0x80
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Refused(OSError):
    """The server did not upgrade the connection."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"the upgrade was answered with status {answer.status}")
        self.answer = answer


class WebSocket:
    """An open connection. OSError from any call means that it is over."""

    def __init__(self, sock: socket.socket, rest: bytes) -> None:
        self._sock = sock
        self._received = bytearray(rest)
        self._lock = threading.Lock()  # TLS bears no reading and writing at the same time
        self._parts: list[bytes] = []
        sock.setblocking(False)

    @classmethod
    def connect(
        cls, base_url: str, path: str, headers: HeaderList, *, tls: ssl.SSLContext | None, timeout: float
    ) -> "WebSocket":
        """Connect and upgrade; `headers` hold everything but Sec-WebSocket-Key's value. Refused, or another OSError."""
        parts = urlsplit(base_url)
        secure = parts.scheme in {"https", "wss"}
        sock = socket.create_connection((parts.hostname or "", parts.port or (443 if secure else 80)), timeout)
        try:
            if secure:
                assert tls is not None, "an encrypted endpoint needs trusted authorities"
                sock = tls.wrap_socket(sock, server_hostname=parts.hostname)
            key = base64.b64encode(os.urandom(16)).decode()
            lines = [f"{name}: {key if name == 'Sec-WebSocket-Key' else value}" for name, value in headers]
            sock.sendall("\r\n".join((f"GET {path} HTTP/1.1", *lines, "", "")).encode())
            return cls(sock, _upgraded(sock, key))
        except BaseException:
            sock.close()
            raise

    def send(self, opcode: int, payload: bytes) -> None:
        """Send one message in one frame."""
        size = len(payload)
        head = bytes([_FINAL | opcode])
        if size < 126:
            head += bytes([_MASKED | size])
        elif size < 1 << 16:
            head += struct.pack(">BH", _MASKED | 126, size)
        else:
            head += struct.pack(">BQ", _MASKED | 127, size)
        mask = os.urandom(4)
        self._write(head + mask + _masked(payload, mask))

    def receive(self, seconds: float) -> tuple[int, bytes] | None:
        """The next whole message (opcode, payload); None if none came in time. Control frames are messages too."""
        deadline = time.monotonic() + seconds
        while True:
            message = self._next_message()
            if message is not None:
                return message
            left = deadline - time.monotonic()
            if left <= 0 or not self._fill(left):
                return None

    def close(self) -> None:
        """Drop the connection without a word, as the real agent does; a thread that reads from it fails."""
        with contextlib.suppress(OSError):  # it may be gone already
            self._sock.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._sock.close()

    def _next_message(self) -> tuple[int, bytes] | None:
        while (frame := self._take_frame()) is not None:
            final, opcode, payload = frame
            if opcode >= CLOSE:
                return opcode, payload
            self._parts.append(bytes([opcode]) if not self._parts else b"")
            self._parts.append(payload)
            if sum(map(len, self._parts)) > MAX_MESSAGE_BYTES:
                raise ConnectionError("the message is too long")
            if final:
                first, *parts = self._parts
                self._parts = []
                return first[0], b"".join(parts)
        return None

    def _take_frame(self) -> tuple[bool, int, bytes] | None:
        data = self._received
        if len(data) < 2:
            return None
        size, start = data[1] & 0x7F, 2
        if size >= 126:
            width = 2 if size == 126 else 8
            if len(data) < start + width:
                return None
            size, start = int.from_bytes(data[start : start + width], "big"), start + width
        if size > MAX_MESSAGE_BYTES:
            raise ConnectionError("the frame is too long")
        if len(data) < start + size:
            return None
        final, opcode, payload = bool(data[0] & _FINAL), data[0] & 0x0F, bytes(data[start : start + size])
        del data[: start + size]
        return final, opcode, payload

    def _fill(self, seconds: float) -> bool:
        """Read what is there, waiting at most so long; whether anything came."""
        descriptor = self._sock.fileno()
        if descriptor < 0:
            raise ConnectionError("the connection was closed")
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        if not poll.poll(seconds * 1000):
            return False
        before = len(self._received)
        with self._lock:
            while True:
                try:
                    received = self._sock.recv(65536)
                except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    return True
                if not received:
                    if len(self._received) > before:
                        return True  # what came with the end is taken first
                    raise ConnectionError("the connection was closed")
                self._received += received

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        with self._lock:
            while left:
                try:
                    left = left[self._sock.send(left) :]
                except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                    poll = select.poll()
                    poll.register(self._sock, select.POLLOUT)
                    poll.poll(1000)


def _upgraded(sock: socket.socket, key: str) -> bytes:
    """Read the answer to the upgrade; what came after it. Refused if it is not the wanted one."""
    received = b""
    while b"\r\n\r\n" not in received:
        more = sock.recv(4096)
        if not more or len(received) > MAX_HEAD_BYTES:
            raise ConnectionError("the server closed the connection during the upgrade")
        received += more
    head, _, rest = received.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    status = int(status_line.split(" ")[1])
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if status != 101:
        raise Refused(Answer(status=status, body=rest))
    expected = base64.b64encode(hashlib.sha1((key + _GUID).encode(), usedforsecurity=False).digest()).decode()
    if headers.get("sec-websocket-accept") != expected:
        raise ConnectionError("the server's Sec-WebSocket-Accept is wrong")
    return rest


def _masked(payload: bytes, mask: bytes) -> bytes:
    if not payload:
        return b""
    stretched = (mask * (len(payload) // 4 + 1))[: len(payload)]
    number = int.from_bytes(payload, "big") ^ int.from_bytes(stretched, "big")
    return number.to_bytes(len(payload), "big")
