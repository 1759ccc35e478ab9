"""One control channel, without its socket: what the agent's frames mean, and the frames that go to it.

Source: the SSM agent's own protocol, held to recordings: text first, then binary frames; every reply is acknowledged at
once, also one that came before.
"""

import json
import logging
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from localcloud.aws.agent import frames, replies
from localcloud.aws.agent.frames import Frame
from localcloud.aws.ssm.commands.book import Commands
from localcloud.aws.ssm.commands.outbox import Message
from localcloud.clock import Clock

JOB, JOB_ACK = "agent_job", "agent_job_ack"
REPLY, REPLY_ACK = "agent_job_reply", "agent_job_reply_ack"

_log = logging.getLogger(__name__)


class ControlChannel:
    """The service's side of one open WebSocket; `send` takes frames and may be called on any thread.

    Of several channels of one node the newest gets the jobs; each takes what its agent says.
    """

    def __init__(
        self,
        *,
        node_id: str,
        commands: Commands,
        clock: Clock,
        send: Callable[[bytes], None],
        takes_replies: Callable[[], bool],
    ) -> None:
        """`takes_replies`: asked for each reply; one that is not taken is not acknowledged, and comes again."""
        self._node_id = node_id
        self._commands = commands
        self._clock = clock
        self._send = send
        self._takes_replies = takes_replies

    def open(self) -> None:
        """The agent has shown its token: it gets its messages here from now on."""
        self._commands.outbox.connect(self._node_id, self._push)

    def close(self) -> None:
        """The connection is gone. Safe to repeat."""
        self._commands.outbox.disconnect(self._node_id, self._push)

    def receive(self, data: bytes) -> None:
        """Take a binary frame; what cannot be read, or is not about jobs (telemetry, audits), is left alone."""
        try:
            frame = frames.decode(data)
            if frame.kind == JOB_ACK:
                self._acknowledged(_about_a_job(frame))
            elif frame.kind == REPLY:
                self._replied(frame, _about_a_job(frame))
        except (ValueError, KeyError, TypeError) as error:
            _log.warning("a frame of %s cannot be read: %s", self._node_id, error)

    def _push(self, message: Message) -> None:
        self._send_frame(
            JOB,
            {"SchemaVersion": 1, "JobId": message.id, "Topic": message.topic, "Content": message.payload},
        )

    def _acknowledged(self, ack: Mapping[str, Any]) -> None:
        if self._is_mine(ack["jobId"]):
            self._commands.acknowledged(ack["jobId"], code=str(ack["statusCode"]))

    def _replied(self, frame: Frame, payload: Mapping[str, Any]) -> None:
        if not self._takes_replies():
            return
        job = payload["jobId"]
        if self._is_mine(job):
            self._commands.replied(job, replies.parse(payload["content"], reply_id=str(frame.id)))
        # Also for what nobody knows (any more): the agent would send it for hours otherwise.
        self._send_frame(REPLY_ACK, {"jobId": job, "acknowledgedMessageId": str(frame.id)})

    def _is_mine(self, job: str) -> bool:
        """A node speaks of its own messages only."""
        return job.rpartition(".")[2] == self._node_id

    def _send_frame(self, kind: str, payload: Mapping[str, Any]) -> None:
        frame = Frame(kind=kind, id=uuid.uuid4(), created_at=self._clock.now(), payload=json.dumps(payload).encode())
        self._send(frame.encode())


def _about_a_job(frame: Frame) -> Mapping[str, Any]:
    found = replies.loaded(frame.payload)
    if not isinstance(found, dict) or not isinstance(found.get("jobId"), str):
        raise ValueError(f"{frame.kind} names no job")
    return found
