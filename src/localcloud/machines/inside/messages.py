"""Small JSON messages with open files attached, over a Unix socket that keeps message boundaries."""

import json
import os
import socket
from collections.abc import Sequence
from typing import Any

MAX_BYTES = 128 * 1024
MAX_FILES = 16


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(sock: socket.socket, message: dict[str, Any], files: Sequence[int] = ()) -> None:
    """Send one message; the receiver gets its own duplicates of `files`. OSError if the other end is gone."""
    data = json.dumps(message).encode()
    if len(data) > MAX_BYTES:
        raise ValueError(f"a message of {len(data)} bytes is longer than {MAX_BYTES}")
    socket.send_fds(sock, [data], list(files))


def receive(sock: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """The next message and its files; None once the other end is gone."""
    try:
        data, files, _, _ = socket.recv_fds(sock, MAX_BYTES, MAX_FILES, socket.MSG_CMSG_CLOEXEC)
    except ConnectionError:
        return None
    if not data:
        return None
    for descriptor in files:
        os.set_inheritable(descriptor, False)
    return json.loads(data), files
