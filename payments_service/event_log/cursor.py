"""The opaque cursor of the log: which log, which position, and a tag of the event that stands there.

The tag tells a log that was restored to an earlier state and went on from there from the log that the cursor
was made from; whether the position still exists is for the reader of the log to say.
"""

import hashlib
import struct
from dataclasses import dataclass
from uuid import UUID

from payments_service.errors import CursorInvalidError

_VERSION = 1
_LAYOUT = struct.Struct(">B16sQ8s4s")
_CHECK = 4


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the log: resume strictly after `position`; 0 is before the first event."""

    log_id: UUID
    position: int
    tag: bytes
    """Eight bytes of the hash of the event's id; zeros at position 0."""


def cursor_at(log_id: UUID, position: int, event_id: str) -> Cursor:
    """Make the cursor of an event."""
    return Cursor(log_id, position, hashlib.sha256(event_id.encode()).digest()[:8] if position else bytes(8))


def encode_cursor(cursor: Cursor) -> bytes:
    """Give the bytes that a caller keeps; always 37 of them."""
    body = _LAYOUT.pack(_VERSION, cursor.log_id.bytes, cursor.position, cursor.tag, bytes(_CHECK))[:-_CHECK]
    return body + _checksum(body)


def decode_cursor(token: bytes) -> Cursor:
    """Read a token; raises CursorInvalidError where it is not one of ours, cut or changed."""
    if len(token) != _LAYOUT.size or token[0] != _VERSION or _checksum(token[:-_CHECK]) != token[-_CHECK:]:
        raise CursorInvalidError("This is not a cursor of this service: send back the bytes of an event or a response.")
    _, log_id, position, tag, _ = _LAYOUT.unpack(token)
    return Cursor(UUID(bytes=log_id), position, tag)


def _checksum(body: bytes) -> bytes:
    """Catch accidents, not forgers: what a stream may see is checked by its caller's scope."""
    return hashlib.sha256(body).digest()[:_CHECK]
