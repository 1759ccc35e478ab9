"""Replays the agent's side of a recording of commands against the service: over polls, and over control channels."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from tests.localcloud.ssm.recordings import RECORDINGS, exchanges, facts

from localcloud.aws.agent import frames
from localcloud.aws.agent.channel import ControlChannel
from localcloud.aws.agent.channels import ControlChannels
from localcloud.aws.ssm.commands.book import Commands, Sent
from localcloud.aws.ssm.commands.model import Command, command_of
from localcloud.aws.ssm.document_model import DocumentVersion
from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.clock import SteppedClock
from localcloud.principals import Credentials
from localcloud.world import World

LONG = timedelta(hours=2)
_DIGEST = slice(80, 112)  # of a frame
_PAYLOAD_FROM = 120


@cache
def lines(scenario: str) -> tuple[dict[str, Any], ...]:
    """Every line of a recording."""
    text = (RECORDINGS / scenario / "exchange.jsonl").read_text()
    return tuple(json.loads(line) for line in text.splitlines())


def job_of(line: Mapping[str, Any]) -> dict[str, Any] | None:
    """The job that a recorded frame brings to the agent, if it is one."""
    frame = line.get("frame_decoded")
    is_job = isinstance(frame, dict) and frame.get("message_type") == "agent_job"
    return frame["payload"] if isinstance(frame, dict) and is_job else None


def polled_messages(line: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The messages that a recorded poll was answered with."""
    body = line.get("body")
    return body.get("Messages", []) if isinstance(body, dict) and line["direction"] == "service->agent" else []


@dataclass
class Replay:
    """One node of one scenario, and a service that sends it the recorded commands."""

    world: World
    clock: SteppedClock
    scenario: str
    jobs: list[dict[str, Any]] = field(default_factory=list)  # what the service pushed
    acks: list[str] = field(default_factory=list)  # ids of the replies that it acknowledged
    ids: dict[str, str] = field(default_factory=dict)  # recorded message id of a cancellation → ours
    token: str = ""  # of the control channel, the newest

    def __post_init__(self) -> None:
        self.nodes = self.world.part(ManagedNodes)
        self.commands = self.world.part(Commands)
        self.channels = self.world.part(ControlChannels)
        self.channel: ControlChannel | None = None
        # In a recording of polls alone the channel was refused.
        self.nodes.control_channel = not any(
            line["channel"] == "ssmmessages-http" and line.get("status") == 403 for line in lines(self.scenario)
        )
        for node_id, node in facts(self.scenario)["nodes"].items():
            self.nodes.seed(node_id=node_id, fingerprint=node["fingerprint"], public_key=node["public_keys"][0])
        for access_key, token in facts(self.scenario)["role_tokens"].items():
            self.world.credentials.add(
                Credentials(
                    access_key=access_key,
                    secret_key=token["SecretAccessKey"],
                    session_token=token["SessionToken"],
                    expires_at=datetime.fromtimestamp(token["TokenExpirationDate"], UTC),
                    principal=self.nodes.principal_of(self.nodes.get(token["node"])),
                )
            )
        (self.node_id,) = facts(self.scenario)["nodes"]

    def run(self) -> None:
        """Replay everything, in the recorded order."""
        for _ in self.steps():
            pass

    def steps(self) -> Iterator[dict[str, Any]]:
        """Replay line by line; yields each line after its effect."""
        calls = {exchange.number: exchange for exchange in exchanges(self.scenario)}
        if self._begins_with_a_channel():
            self.connect()
        for line in lines(self.scenario):
            if line["channel"] == "ssmmessages-ws":
                self._frame(line)
            elif line["direction"] == "service->agent":
                for message in polled_messages(line):
                    self._polled(message, calls[line["exchange"]])
            elif (
                line["method"] == "POST"
                and calls[line["exchange"]].stamped
                and not self._is_answered_with_messages(line)
            ):
                response = self._send(calls[line["exchange"]])
                self._learn_token(response)
                assert response.status == (calls[line["exchange"]].status or 200), (line, response)
            yield line

    def connect(self) -> None:
        """Open a control channel, the newest."""
        if self.channel is not None:
            self.channel.close()
        self.channel = self.channels.channel(self.node_id, self._sent)
        self.channel.open()

    def sent(self, command_id: str) -> Sent:
        """A command as it is now."""
        return self.commands.find(command_id, region="us-east-1")

    def command_ids(self) -> list[str]:
        """The recorded commands, in the order in which they were sent."""
        found = [job["JobId"] for line in lines(self.scenario) if (job := job_of(line))]
        found += [message["MessageId"] for line in lines(self.scenario) for message in polled_messages(line)]
        known = [command_of(one)[0] for one in found if one not in self.ids]
        return list(dict.fromkeys(known))

    def send(self, content: Mapping[str, Any]) -> None:
        """Send a recorded command again, with its recorded id."""
        now = self.clock.now()
        document = DocumentVersion(
            name=content["DocumentName"],
            number=1,
            kind="Command",
            format="JSON",
            text=json.dumps(content["DocumentContent"]),
            content=content["DocumentContent"],
            created_at=now,
        )
        command = Command(
            id=content["CommandId"],
            region="us-east-1",
            document=document,
            document_version="1",
            parameters={},
            typed_parameters=content["Parameters"],
            requested_at=now,
            deliver_until=now + LONG,
            expires_at=now + LONG,
            timeout_seconds=3600,
        )
        self.commands.send(command, [self.nodes.get(self.node_id)])

    def _begins_with_a_channel(self) -> bool:
        recorded = [line for line in lines(self.scenario) if line["channel"].startswith("ssmmessages")]
        return bool(recorded) and recorded[0]["channel"] == "ssmmessages-ws" and recorded[0]["opcode"] == "binary"

    def _frame(self, line: Mapping[str, Any]) -> None:
        if line["opcode"] == "text":
            assert self.channels.accepts(self.node_id, self._with_our_token(line))
            self.connect()
        elif line["opcode"] == "binary" and line["direction"] == "agent->service":
            assert self.channel is not None
            self._move_to(datetime.fromtimestamp(line["frame_decoded"]["created_date"] / 1000, UTC))
            self.channel.receive(self._with_our_ids(base64.b64decode(line["frame_base64"])))
        elif job := job_of(line):
            self._start(job["JobId"], job["Topic"], json.loads(job["Content"]))
            assert self.jobs[-1]["JobId"] == self.ids.get(job["JobId"], job["JobId"])

    def _start(self, message_id: str, topic: str, content: dict[str, Any]) -> None:
        if topic.startswith("aws.ssm.cancelCommand"):
            command_id, _ = command_of(content["CancelMessageId"])
            self.commands.cancel(command_id, region="us-east-1")
            self.ids[message_id] = self.jobs[-1]["JobId"] if self.jobs else ""  # a poll will tell
        else:
            self.send(content)

    def _polled(self, message: Mapping[str, Any], asked: Any) -> None:
        self._move_to(asked.stamped)
        self._start(message["MessageId"], message["Topic"], json.loads(message["Payload"]))
        answer = json.loads(self._send(asked).body)
        (ours,) = answer["Messages"]
        assert set(ours) == set(message)
        assert ours["Topic"] == message["Topic"]
        if message["MessageId"] in self.ids:
            self.ids[message["MessageId"]] = ours["MessageId"]
        assert ours["MessageId"] == self.ids.get(message["MessageId"], message["MessageId"])
        if message["MessageId"] not in self.ids:
            assert json.loads(ours["Payload"]) == json.loads(message["Payload"])

    def _is_answered_with_messages(self, line: Mapping[str, Any]) -> bool:
        answers = [
            one
            for one in lines(self.scenario)
            if one["direction"] == "service->agent" and one.get("exchange") == line["exchange"]
        ]
        return any(polled_messages(one) for one in answers)

    def _send(self, exchange: Any) -> Any:
        self._move_to(exchange.stamped)
        request = exchange.request
        if self.ids:
            for recorded, ours in self.ids.items():
                if recorded.encode() in request.body:
                    return self._about_our_message(exchange, recorded, ours)
        return self.world.endpoint.dispatch(request)

    def _about_our_message(self, exchange: Any, recorded: str, ours: str) -> Any:
        """The recorded call speaks of a message whose id we chose: its signature would not fit, so it is not sent."""
        assert exchange.target in {"SendReply", "AcknowledgeMessage"}
        assert self.commands.knows(ours)
        assert self.commands.acknowledged(ours)
        assert recorded in json.dumps(exchange.body)
        return _Answer(status=200)

    def _move_to(self, moment: datetime) -> None:
        self.clock.step(moment - self.clock.now())

    def _learn_token(self, response: Any) -> None:
        found = re.search(rb"<TokenValue>([^<]+)</TokenValue>", response.body)
        if found:
            self.token = found[1].decode()

    def _with_our_token(self, line: Mapping[str, Any]) -> str:
        said = json.loads(base64.b64decode(line["frame_base64"]))
        said["TokenValue"] = self.token
        return json.dumps(said)

    def _with_our_ids(self, frame: bytes) -> bytes:
        payload = frame[_PAYLOAD_FROM:]
        for recorded, ours in self.ids.items():
            payload = payload.replace(recorded.encode(), ours.encode())
        digest = hashlib.sha256(payload).digest()
        return frame[: _DIGEST.start] + digest + frame[_DIGEST.stop : _PAYLOAD_FROM] + payload

    def _sent(self, data: bytes) -> None:
        frame = frames.decode(data)
        payload = json.loads(frame.payload)
        if frame.kind == "agent_job":
            self.jobs.append(payload)
        else:
            assert frame.kind == "agent_job_reply_ack"
            self.acks.append(payload["acknowledgedMessageId"])


@dataclass(frozen=True)
class _Answer:
    status: int
    body: bytes = b""
