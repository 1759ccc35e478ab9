"""Where messages of both channels arrive: each is examined, acknowledged in its channel's way, and taken up."""

import json
import threading
from collections.abc import Callable
from typing import Any

from localcloud.machines.agent.commands.processor import Processor, Verdict
from localcloud.machines.agent.commands.results import FAILED, IN_PROGRESS, Reply, stamp
from localcloud.machines.agent.commands.states import Record, States, command_of
from localcloud.machines.agent.frames import JOB, JOB_ACK, REPLY_ACK, AgentMessage
from localcloud.machines.agent.replies import ControlReplies, PolledReplies

SEND = "aws.ssm.sendCommand"
CANCEL = "aws.ssm.cancelCommand"
CONTROL = "ssmmessages"
POLLED = "ec2messages"
ACKNOWLEDGEMENTS = {
    Verdict.ACCEPTED: ("200", "Successful"),
    Verdict.DUPLICATE: ("51405", "DuplicateCommand"),
    Verdict.FULL: ("51402", "ProcessorBufferFull"),
    Verdict.UNREADABLE: ("51408", "AgentJobMessageParseError"),
}


def _nothing() -> None:
    """Nobody waits for this reply's end."""


class Desk:
    """One node's incoming messages; `send` is the control channel's."""

    def __init__(
        self,
        processor: Processor,
        states: States,
        *,
        control: ControlReplies,
        polled: PolledReplies,
        send: Callable[[AgentMessage], None],
        stopping: threading.Event,
    ) -> None:
        self._processor = processor
        self._states = states
        self._control = control
        self._polled = polled
        self._send = send
        self._stopping = stopping

    def frame(self, message: AgentMessage) -> None:
        """A message of the control channel."""
        if message.kind == REPLY_ACK:
            self._control.acknowledged(str(message.json().get("acknowledgedMessageId", "")))
        elif message.kind == JOB:
            job = message.json()
            topic, job_id, content = (str(job.get(name, "")) for name in ("Topic", "JobId", "Content"))
            if topic.startswith(CANCEL):
                self._cancel_frame(message, job_id, content)
            else:
                self._job_frame(message, Record(job_id=job_id, topic=topic, channel=CONTROL, content=content))

    def message(self, message: dict[str, Any]) -> None:
        """A message of ec2messages."""
        topic, job_id = str(message.get("Topic", "")), str(message.get("MessageId", ""))
        content = str(message.get("Payload", ""))
        if topic.startswith(SEND):
            self._command_message(Record(job_id=job_id, topic=topic, channel=POLLED, content=content))
        elif topic.startswith(CANCEL):
            self._cancel_message(job_id, content)
        else:
            self._polled.call("FailMessage", {"FailureType": "NoHandlerExists", "MessageId": job_id})

    # -- over the control channel

    def _job_frame(self, message: AgentMessage, record: Record) -> None:
        verdict, _ = self._processor.offer(record)
        try:
            self._acknowledge(message, record.job_id, verdict)
            if verdict is Verdict.ACCEPTED:
                self._control.tell(Reply(job_id=record.job_id, topic=SEND, status=IN_PROGRESS), _nothing)
        finally:  # also when the channel has just gone: an accepted command is not offered again
            self._processor.start()
        if verdict is Verdict.UNREADABLE:
            # The reason stays here: over this channel the real agent does not tell it.
            self._control.tell(Reply(job_id=record.job_id, topic=SEND, status=FAILED), _nothing)

    def _cancel_frame(self, message: AgentMessage, job_id: str, content: str) -> None:
        cancelled = _cancelled(content)
        if self._states.seen("cancel", command_of(job_id)):
            self._acknowledge(message, job_id, Verdict.DUPLICATE)
        elif not cancelled:
            self._acknowledge(message, job_id, Verdict.UNREADABLE)
        else:
            self._states.mark("cancel", command_of(job_id))
            self._acknowledge(message, job_id, Verdict.ACCEPTED)
            self._control.tell(Reply(job_id=job_id, topic=CANCEL, status=IN_PROGRESS), _nothing)
            self._processor.cancel(cancelled)

    def _acknowledge(self, message: AgentMessage, job_id: str, verdict: Verdict) -> None:
        code, words = ACKNOWLEDGEMENTS[verdict]
        payload = {
            "jobId": job_id,
            "acknowledgedMessageId": message.id,
            "createdDate": stamp(),
            "statusCode": code,
            "errorMessage": words,
        }
        self._send(AgentMessage.of(JOB_ACK, payload))

    # -- over ec2messages

    def _command_message(self, record: Record) -> None:
        verdict, problem = self._processor.offer(record)
        while verdict is Verdict.FULL:
            self._processor.wait_for_room(self._stopping)
            if self._stopping.is_set():
                return
            verdict, problem = self._processor.offer(record)
        if verdict is Verdict.UNREADABLE:
            reply = Reply(job_id=record.job_id, topic=SEND, status=FAILED, trace=problem)
            self._polled.tell(reply, _nothing)
            return
        self._polled.tell(Reply(job_id=record.job_id, topic=SEND, status=IN_PROGRESS), _nothing)
        self._polled.call("AcknowledgeMessage", {"MessageId": record.job_id})
        if verdict is Verdict.ACCEPTED:
            self._processor.start()

    def _cancel_message(self, job_id: str, content: str) -> None:
        cancelled = _cancelled(content)
        if not cancelled:
            self._polled.call("FailMessage", {"FailureType": "InternalHandlerException", "MessageId": job_id})
            return
        self._states.mark("cancel", command_of(job_id))
        self._polled.tell(Reply(job_id=job_id, topic=CANCEL, status=IN_PROGRESS), _nothing)
        self._polled.call("AcknowledgeMessage", {"MessageId": job_id})
        self._processor.cancel(cancelled)


def _cancelled(content: str) -> str:
    """The id of the command that a cancel message means; empty if it cannot be read."""
    try:
        return command_of(str(json.loads(content)["CancelMessageId"]))
    except (ValueError, KeyError, TypeError):
        return ""
