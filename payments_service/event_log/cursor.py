"""The opaque cursor of the log: which log, which position, and a tag of the event that stands there.

The tag tells a log that was restored to an earlier state and went on from there from the log that the cursor
was made from; whether the position still exists is for the reader of the log to say.
"""

import hashlib
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID

from payments_service.errors import CursorInvalidError

CURSOR_BYTES = 37
NO_TAG = bytes(8)
_VERSION = 1
_LOG = struct.Struct(">B16s")
_POSITION = struct.Struct(">Q")
_BODY = struct.Struct(">B16sQ8s")
_CHECK = struct.Struct(">I")


class Cursor(NamedTuple):
    """A place in the log: resume strictly after `position`; 0 is before the first event."""

    log_id: UUID
    position: int
    tag: bytes
    """Eight bytes of the hash of the event's id; zeros at position 0, and where the event is no longer kept."""


def cursor_at(log_id: UUID, position: int, event_id: str | None) -> Cursor:
    """Make the cursor of an event; None stands for one that was trimmed away."""
    return Cursor(log_id, position, event_tag(event_id) if position and event_id is not None else NO_TAG)


def event_tag(event_id: str) -> bytes:
    """Digest an event's id into what its cursor carries of it."""
    return hashlib.sha256(event_id.encode()).digest()[:8]


def event_cursors(log_id: UUID) -> Callable[[int, str], bytes]:
    """Give what writes the cursors of one log's events, a position and an event's id at a time, many a second."""
    log = _LOG.pack(_VERSION, log_id.bytes)

    def write(position: int, event_id: str) -> bytes:
        body = log + _POSITION.pack(position) + event_tag(event_id)
        return body + _checksum(body)

    return write


def encode_cursor(cursor: Cursor) -> bytes:
    """Give the bytes that a caller keeps; always CURSOR_BYTES of them."""
    body = _BODY.pack(_VERSION, cursor.log_id.bytes, cursor.position, cursor.tag)
    return body + _checksum(body)


def decode_cursor(token: bytes) -> Cursor:
    """Read a token; raises CursorInvalidError where it is not one of ours, cut or changed."""
    body = token[: _BODY.size]
    if len(token) != CURSOR_BYTES or token[0] != _VERSION or _checksum(body) != token[_BODY.size :]:
        raise CursorInvalidError("This is not a cursor of this service: send back the bytes of an event or a response.")
    _, log_id, position, tag = _BODY.unpack(body)
    return Cursor(UUID(bytes=log_id), position, tag)


def _checksum(body: bytes) -> bytes:
    """Catch accidents, not forgers: what a stream may see is checked by its caller's scope."""
    return _CHECK.pack(zlib.crc32(body))
