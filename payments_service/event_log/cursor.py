"""The opaque cursor of the log: which log, which position, and a tag of the event that stands there.

The tag tells a log that was restored to an earlier state and went on from there from the log that the cursor
was made from; whether the position still exists is for the reader of the log to say.
"""

from typing import NamedTuple
from uuid import UUID

from payments_service.errors import CursorInvalidError
from payments_service.storage.log_frames import (
    CURSOR_BYTES,
    CURSOR_VERSION,
    NO_TAG,
    PLACE_BYTES,
    checksum,
    cursor_bytes,
    event_tag,
    read_place,
)


class Cursor(NamedTuple):
    """A place in the log: resume strictly after `position`; 0 is before the first event."""

    log_id: UUID
    position: int
    tag: bytes
    """Eight bytes of the hash of the event's id; zeros at position 0, and where the event is no longer kept."""


def cursor_at(log_id: UUID, position: int, event_id: str | None) -> Cursor:
    """Make the cursor of an event; None stands for one that was trimmed away."""
    return Cursor(log_id, position, event_tag(event_id) if position and event_id is not None else NO_TAG)


def encode_cursor(cursor: Cursor) -> bytes:
    """Give the bytes that a caller keeps; always CURSOR_BYTES of them."""
    return cursor_bytes(cursor.log_id, cursor.position, cursor.tag)


def decode_cursor(token: bytes) -> Cursor:
    """Read a token; raises CursorInvalidError where it is not one of ours, cut or changed."""
    place, check = token[:PLACE_BYTES], token[PLACE_BYTES:]
    if len(token) != CURSOR_BYTES or token[0] != CURSOR_VERSION or checksum(place) != check:
        raise CursorInvalidError("This is not a cursor of this service: send back the bytes of an event or a response.")
    return Cursor(*read_place(token))
