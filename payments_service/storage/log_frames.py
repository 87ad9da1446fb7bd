"""The bytes of an event as the log keeps them: ready to go out, with its cursor, so that readers only copy.

A frame is one element of StreamFulfillmentsResponse.events. It is made once, when an event gets its position: here
on SQLite, in the schema's function `frame_event` on PostgreSQL, to the same bytes.
"""

import hashlib
import struct
from uuid import UUID

CURSOR_BYTES = 37
CURSOR_VERSION = 2
NO_TAG = bytes(8)
_PLACE = struct.Struct(">B16sQ8s")
PLACE_BYTES = _PLACE.size
_EVENTS_TAG = b"\x0a"
_CURSOR_TAG_AND_LENGTH = bytes([9 << 3 | 2, CURSOR_BYTES])
_APPENDED = len(_CURSOR_TAG_AND_LENGTH) + CURSOR_BYTES


def frame_event(body: bytes, cursor: bytes) -> bytes:
    """Append the cursor to a serialized event and prefix both with their tag and length."""
    return b"".join((_EVENTS_TAG, varint(len(body) + _APPENDED), body, _CURSOR_TAG_AND_LENGTH, cursor))


def body_of(frame: bytes) -> bytes:
    """Give a framed event's own bytes: without the frame's tag and length, and without the cursor."""
    start = 2
    while frame[start - 1] & 0x80:
        start += 1
    return frame[start:-_APPENDED]


def cursor_bytes(log_id: UUID, position: int, tag: bytes) -> bytes:
    """Write a place in the log, and a checksum of it."""
    place = _PLACE.pack(CURSOR_VERSION, log_id.bytes, position, tag)
    return place + checksum(place)


def read_place(cursor: bytes) -> tuple[UUID, int, bytes]:
    """Read log, position and tag back from a cursor that was checked."""
    _, log_id, position, tag = _PLACE.unpack(cursor[:PLACE_BYTES])
    return UUID(bytes=log_id), position, tag


def event_tag(event_id: str) -> bytes:
    """Digest an event's id into what its cursor carries of it."""
    return hashlib.sha256(event_id.encode()).digest()[:8]


def checksum(place: bytes) -> bytes:
    """Catch accidents, not forgers: what a stream may see is checked by its caller's scope."""
    return hashlib.sha256(place).digest()[:4]


def varint(number: int) -> bytes:
    """Write a number, seven bits a byte."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
