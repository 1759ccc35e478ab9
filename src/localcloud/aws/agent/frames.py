"""The message gateway's binary frames: a header of 116 bytes, big endian, then the payload.

Held to every frame of the recordings.
"""

import hashlib
import struct
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

HEADER_LENGTH = 116
_SCHEMA = 1
_TYPE_LENGTH = 32
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Header length, type, schema, created, sequence number, flags, message id, digest, payload type, payload length.
_LAYOUT = struct.Struct(">I32sIQqQ16s32sII")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One message of the control channel."""

    kind: str
    id: uuid.UUID
    created_at: datetime
    payload: bytes

    def encode(self) -> bytes:
        """The bytes of the frame."""
        header = _LAYOUT.pack(
            HEADER_LENGTH,
            self.kind.encode("ascii").ljust(_TYPE_LENGTH),
            _SCHEMA,
            (self.created_at - _EPOCH) // timedelta(milliseconds=1),
            0,
            0,
            _swapped(self.id.bytes),
            hashlib.sha256(self.payload).digest(),
            0,
            len(self.payload),
        )
        return header + self.payload


def decode(data: bytes) -> Frame:
    """The frame in `data`; raises ValueError if it is cut short, of no time, or has another digest."""
    if len(data) < _LAYOUT.size:
        raise ValueError(f"a frame has at least {_LAYOUT.size} bytes; {len(data)} came")
    header_length, kind, schema, created, _, _, message_id, digest, _, length = _LAYOUT.unpack_from(data)
    payload = data[header_length + 4 :][:length]
    if schema != _SCHEMA or len(payload) != length:
        raise ValueError("a frame's lengths or its schema are wrong")
    if hashlib.sha256(payload).digest() != digest:
        raise ValueError("a frame's digest is not that of its payload")
    return Frame(
        kind=kind.decode("ascii", "replace").rstrip(" \0"),
        id=uuid.UUID(bytes=_swapped(message_id)),
        created_at=_moment(created),
        payload=payload,
    )


def _moment(milliseconds: int) -> datetime:
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError as error:
        raise ValueError(f"a frame of {milliseconds} ms after 1970 cannot be") from error


def _swapped(sixteen: bytes) -> bytes:
    """The id's two halves change places on the wire."""
    return sixteen[8:] + sixteen[:8]
