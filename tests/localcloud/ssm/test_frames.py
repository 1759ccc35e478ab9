"""Frames that no agent sends: a control channel leaves them alone and goes on."""

import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from localcloud.aws.agent import frames
from localcloud.aws.agent.channel import ControlChannel
from localcloud.aws.ssm.commands.book import Commands
from localcloud.world import World

NODE = "mi-0123456789abcdef0"
DEEP = "[" * 100_000
CREATED_AT = slice(40, 48)  # in a frame


@pytest.fixture
def channel(world: World) -> ControlChannel:
    sent: list[bytes] = []
    return ControlChannel(
        node_id=NODE,
        commands=world.part(Commands),
        clock=world.clock,
        send=sent.append,
        takes_replies=lambda: True,
    )


def frame(kind: str, payload: bytes) -> bytes:
    return frames.Frame(kind=kind, id=uuid.uuid4(), created_at=datetime.now(UTC), payload=payload).encode()


@pytest.mark.parametrize("kind", ["agent_job_ack", "agent_job_reply"])
@pytest.mark.parametrize(
    "payload",
    [b"", b"null", b"[]", b"7", DEEP, {"jobId": 7, "statusCode": "200", "content": "{}"}, {"jobId": None}, {},
     {"jobId": NODE, "content": 7}, {"jobId": NODE, "content": DEEP}, {"jobId": NODE, "content": "[]"}],
)  # fmt: skip
def test_what_cannot_be_read_is_left_alone(kind: str, payload: Any, channel: ControlChannel) -> None:
    text = payload if isinstance(payload, bytes) else payload if isinstance(payload, str) else json.dumps(payload)
    channel.receive(frame(kind, text if isinstance(text, bytes) else text.encode()))


@pytest.mark.parametrize("length", [0, 1, 119, 130])
def test_neither_is_half_a_frame_or_one_of_another_age(length: int, channel: ControlChannel) -> None:
    whole = bytearray(frame("agent_job_ack", b'{"jobId": "x"}'))
    channel.receive(bytes(whole[:length]))
    whole[CREATED_AT] = b"\xff" * 8
    channel.receive(bytes(whole))
