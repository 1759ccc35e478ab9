"""The control channel: opened, kept alive, opened again when it drops. Jobs arrive by it, replies leave by it.

Pauses before another try are real time; what the channel does on a timetable while open is scaled.
"""

import contextlib
import random
import re
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from localcloud.machines.agent import websocket
from localcloud.machines.agent.calls import Services
from localcloud.machines.agent.frames import AgentMessage, Malformed
from localcloud.machines.agent.places import AGENT_VERSION, go_json
from localcloud.machines.agent.signing import Token
from localcloud.machines.agent.websocket import WebSocket

PING_SECONDS = 54.0
PONG_SECONDS = 60.0
PING_TEXT = b"keepalive"
AFTER_DROP_SECONDS = (0.0, 2.5)
FIRST_PAUSE_SECONDS = (5.0, 10.0)
MAX_PAUSE_SECONDS = 2400.0
_TOKEN = re.compile(rb"<TokenValue>([^<]*)</TokenValue>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chore:
    """Something to do a while after the channel has opened, and then every so often (0: only once)."""

    after: float
    every: float
    do: Callable[[], None]


class ControlChannel:
    """One node's channel. `receive` gets every message; `forbidden` is called when the service refuses the channel."""

    def __init__(
        self,
        services: Services,
        *,
        node_id: str,
        platform: str,
        token: Callable[[], Token],
        receive: Callable[[AgentMessage], None],
        forbidden: Callable[[], None],
        chores: tuple[Chore, ...],
        say: Callable[[str, str], None],
    ) -> None:
        self._services = services
        self._node_id = node_id
        self._platform = platform
        self._token = token
        self._receive = receive
        self._forbidden = forbidden
        self._chores = chores
        self._say = say
        self._stopping = threading.Event()
        self._socket: WebSocket | None = None
        self._thread: threading.Thread | None = None

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent now."""
        return self._socket is not None

    def start(self) -> None:
        """Try once, in this thread; then go on in another."""
        self._connect()
        self._thread = threading.Thread(target=self._live, name="control-channel", daemon=True)
        self._thread.start()

    def send(self, message: AgentMessage) -> None:
        """Send a message; OSError if the channel is not open."""
        socket = self._socket
        if socket is None:
            raise ConnectionError("the control channel is not open")
        socket.send(websocket.BINARY, message.encode())

    def close(self) -> None:
        """End it for good."""
        self._stopping.set()
        self._drop()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(1)

    def _live(self) -> None:
        growing = 0.0
        while not self._stopping.is_set():
            if self._socket is not None:
                self._converse(self._socket)
                growing, pause = 0.0, random.uniform(*AFTER_DROP_SECONDS)  # noqa: S311 - spreads load
            else:
                fresh = random.uniform(*FIRST_PAUSE_SECONDS)  # noqa: S311 - spreads load
                growing = pause = min(growing * 2 or fresh, MAX_PAUSE_SECONDS)
            if self._stopping.wait(pause):
                break
            self._connect()
        self._drop()

    def _connect(self) -> None:
        try:
            answer = self._services.open_control_channel(self._node_id, str(uuid.uuid4()), self._token)
            found = _TOKEN.search(answer.body)
            if answer.status != 201 or found is None:
                if b"<AccessDeniedException>" in answer.body:
                    self._say("WARN", "the control channel is forbidden; polling ec2messages")
                    self._forbidden()
                else:
                    self._say("WARN", f"no control channel (status {answer.status})")
                return
            socket = self._services.join_control_channel(self._node_id, self._token)
            socket.send(websocket.TEXT, self._greeting(found[1].decode()))
        except (OSError, ValueError) as error:
            self._say("WARN", f"no control channel ({error})")
            return
        self._socket = socket
        if self._stopping.is_set():
            self._drop()

    def _greeting(self, token: str) -> bytes:
        return go_json(
            {
                "Cookie": None,
                "MessageSchemaVersion": "1.0",
                "RequestId": str(uuid.uuid4()),
                "TokenValue": token,
                "AgentVersion": AGENT_VERSION,
                "PlatformType": self._platform.lower(),
            }
        ).encode()

    def _drop(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.close()

    def _converse(self, socket: WebSocket) -> None:
        opened = heard = time.monotonic()
        ping_at = opened + PING_SECONDS
        due = [(opened + chore.after, chore) for chore in self._chores]
        with contextlib.suppress(OSError):
            while not self._stopping.is_set():
                now = time.monotonic()
                if now - heard > PING_SECONDS + PONG_SECONDS:
                    break
                if now >= ping_at:
                    socket.send(websocket.PING, PING_TEXT)
                    ping_at = now + PING_SECONDS
                due = [_done(entry, now) if entry[0] <= now else entry for entry in due]
                until = min(ping_at, *(at for at, _ in due))
                received = socket.receive(max(0.0, until - time.monotonic()))
                if received is not None:
                    heard = time.monotonic()
                    if not self._understand(socket, *received):
                        break
        self._drop()

    def _understand(self, socket: WebSocket, opcode: int, payload: bytes) -> bool:
        if opcode == websocket.PING:
            socket.send(websocket.PONG, payload)
        elif opcode == websocket.CLOSE:
            return False
        elif opcode == websocket.BINARY:
            try:
                self._receive(AgentMessage.decode(payload))
            except Malformed as error:
                self._say("ERROR", f"a message that cannot be read came over the control channel: {error}")
        return True


def _done(entry: tuple[float, Chore], now: float) -> tuple[float, Chore]:
    _, chore = entry
    chore.do()
    return (now + chore.every if chore.every else float("inf")), chore
