"""Replies on their way to the service: by the control channel or by ec2messages, kept on the disk until it has them."""

import json
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from localcloud.machines.agent.calls import CallFailed, Services
from localcloud.machines.agent.commands.results import Reply, reply_from
from localcloud.machines.agent.frames import REPLY, AgentMessage
from localcloud.machines.agent.places import go_json, write_private
from localcloud.machines.agent.signing import Token

ACKNOWLEDGED_WITHIN_SECONDS = 1.0
KEPT_SECONDS = 7200.0
MAX_REPLY_BYTES = 120_000
REPLY_LANE = "replies"

Settled = Callable[[], None]


class Shelf:
    """Replies in files, `<time>_<reply id>`; threads may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, reply_id: str, reply: Reply) -> None:
        """Keep a reply."""
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
        write_private(self._folder / f"{moment}_{reply_id}", go_json({"ReplyId": reply_id, **reply.stored()}))

    def take(self, reply_id: str) -> None:
        """Throw a reply away, if it is there."""
        for path in self._folder.glob(f"*_{reply_id}"):
            path.unlink(missing_ok=True)

    def all(self) -> list[tuple[str, Reply]]:
        """What is kept, the oldest first; what is too old is thrown away."""
        found = []
        for path in sorted(self._folder.iterdir()) if self._folder.is_dir() else ():
            if time.time() - path.stat().st_mtime > KEPT_SECONDS:
                path.unlink()
            elif path.suffix != ".new":
                stored = json.loads(path.read_text())
                found.append((str(stored.pop("ReplyId")), reply_from(stored)))
        return found


class ControlReplies:
    """Replies over the control channel: each is acknowledged within a second, or kept and sent again later."""

    def __init__(self, shelf: Shelf, send: Callable[[AgentMessage], None]) -> None:
        self._shelf = shelf
        self._send = send
        self._lock = threading.Lock()
        self._awaited: dict[str, threading.Event] = {}
        self._acknowledged: set[str] = set()
        self._closed = False

    def tell(self, reply: Reply, settled: Settled) -> None:
        """Send a reply and wait until it is settled; the first one of a command is sent once only."""
        reply_id = str(uuid.uuid4())
        if reply.steps is None:
            self._try(reply_id, reply)
            settled()
            return
        answered = threading.Event()
        with self._lock:
            self._awaited[reply_id] = answered
        if self._try(reply_id, reply) and not self._closed:
            answered.wait(ACKNOWLEDGED_WITHIN_SECONDS)
        with self._lock:
            self._awaited.pop(reply_id, None)
            kept = reply_id not in self._acknowledged
            self._acknowledged.discard(reply_id)
            if kept:
                self._shelf.put(reply_id, reply)
        settled()

    def acknowledged(self, reply_id: str) -> None:
        """The service has it."""
        with self._lock:
            waiting = self._awaited.get(reply_id)
            if waiting is not None:
                self._acknowledged.add(reply_id)
                waiting.set()
            else:
                self._shelf.take(reply_id)

    def resend(self) -> None:
        """Send what is kept once more, under the same ids."""
        for reply_id, reply in self._shelf.all():
            if not self._try(reply_id, reply):
                return

    def close(self) -> None:
        """Nothing will be acknowledged any more."""
        with self._lock:
            self._closed = True
            for waiting in self._awaited.values():
                waiting.set()

    def _try(self, reply_id: str, reply: Reply) -> bool:
        content = {
            "schemaVersion": 1,
            "jobId": reply.job_id,
            "content": reply.payload(),
            "topic": reply.topic,
        }
        message = AgentMessage.of(REPLY, content, id=reply_id)
        if len(message.payload) > MAX_REPLY_BYTES:
            return True  # dropped, as by the real agent
        try:
            self._send(message)
        except OSError:
            return False
        return True


class PolledReplies:
    """Replies by SendReply, one after another; what fails is kept and sent again later."""

    def __init__(
        self,
        shelf: Shelf,
        services: Services,
        *,
        token: Callable[[], Token],
        control_channel_open: Callable[[], bool],
    ) -> None:
        self._shelf = shelf
        self._services = services
        self._token = token
        self._control_channel_open = control_channel_open
        self._turn = threading.Lock()

    def tell(self, reply: Reply, settled: Settled) -> None:
        """Send a reply; it is on the disk when this fails."""
        reply_id = str(uuid.uuid4())
        if not self._try(reply_id, reply) and reply.steps is not None:
            self._shelf.put(reply_id, reply)
        settled()

    def resend(self) -> None:
        """Send what is kept once more."""
        for reply_id, reply in self._shelf.all():
            if not self._try(reply_id, reply):
                return
            self._shelf.take(reply_id)

    def call(self, operation: str, payload: dict[str, str]) -> bool:
        """Another call about a message, in its turn; whether it succeeded (if not, the service asks again)."""
        with self._turn:
            try:
                self._services.call("ec2messages", operation, payload, self._token, lane=REPLY_LANE)
            except CallFailed:
                return False
        return True

    def _try(self, reply_id: str, reply: Reply) -> bool:
        payload = reply.payload(control_channel_open=self._control_channel_open())
        return self.call("SendReply", {"MessageId": reply.job_id, "Payload": payload, "ReplyId": reply_id})
