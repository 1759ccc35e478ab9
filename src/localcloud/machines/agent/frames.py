"""The control channel's binary messages: a header of 116 bytes, the payload's length, the payload."""

import hashlib
import json
import struct
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from localcloud.machines.agent.places import go_json

HEADER_LENGTH = 116
SCHEMA_VERSION = 1
_HEAD = struct.Struct(">I32sIQQQ16s32sI")
_LENGTH = struct.Struct(">I")

JOB = "agent_job"
JOB_ACK = "agent_job_ack"
REPLY = "agent_job_reply"
REPLY_ACK = "agent_job_reply_ack"


class Malformed(ValueError):
    """The bytes are no message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentMessage:
    """One message; `id` is a UUID's text."""

    kind: str
    payload: bytes
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @classmethod
    def of(cls, kind: str, payload: dict[str, Any], *, id: str = "") -> "AgentMessage":  # noqa: A002 - the field's name
        """A message with this JSON in it; a new id unless one is given."""
        return cls(kind=kind, payload=go_json(payload).encode(), id=id or str(uuid.uuid4()))

    @classmethod
    def decode(cls, data: bytes) -> "AgentMessage":
        """A received message; Malformed if it is none. The digest is not checked, as by the real agent."""
        if len(data) < HEADER_LENGTH + _LENGTH.size:
            raise Malformed(f"{len(data)} bytes")
        length, kind, _, _, _, _, swapped, _, _ = _HEAD.unpack_from(data)
        (size,) = _LENGTH.unpack_from(data, length)
        payload = data[length + _LENGTH.size :][:size]
        if len(payload) != size:
            raise Malformed(f"a payload of {len(payload)} bytes in place of {size}")
        return cls(
            kind=kind.rstrip(b" \0").decode("ascii", errors="replace"),
            payload=payload,
            id=str(uuid.UUID(bytes=swapped[8:] + swapped[:8])),
        )

    def encode(self) -> bytes:
        """The bytes on the wire, created now."""
        identifier = uuid.UUID(self.id).bytes
        head = _HEAD.pack(
            HEADER_LENGTH,
            self.kind.encode("ascii").ljust(32),
            SCHEMA_VERSION,
            int(time.time() * 1000),
            0,
            0,
            identifier[8:] + identifier[:8],
            hashlib.sha256(self.payload).digest(),
            0,
        )
        return head + _LENGTH.pack(len(self.payload)) + self.payload

    def json(self) -> dict[str, Any]:
        """The payload, parsed; Malformed if it is no JSON object."""
        try:
            parsed = json.loads(self.payload)
        except ValueError as error:
            raise Malformed(str(error)) from error
        if not isinstance(parsed, dict):
            raise Malformed("no object")
        return parsed
