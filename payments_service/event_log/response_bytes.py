"""Writes stream responses from stored event bytes without parsing them; it knows the wire format and nothing else.

An event is framed once a process (tag, length, stored body, its own cursor appended) and joined into any number
of responses.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import StreamFulfillmentsResponse
from payments_service.event_log.cursor import CURSOR_BYTES, event_cursors
from payments_service.storage.log_rows import LogEntry

_EVENTS_TAG = b"\x0a"
_CURSOR_TAG_AND_LENGTH = bytes([9 << 3 | 2, CURSOR_BYTES])
_APPENDED = len(_CURSOR_TAG_AND_LENGTH) + CURSOR_BYTES


class FramedEvent(NamedTuple):
    """An event of the log as it goes out, with what filters look at."""

    position: int
    organization_id: str
    purchase_type: str
    type: int
    ordering_key: str
    frame: bytes
    """One element of StreamFulfillmentsResponse.events; its last CURSOR_BYTES bytes are the event's cursor."""

    @property
    def cursor(self) -> bytes:
        """The token to resume from strictly after this event."""
        return self.frame[-CURSOR_BYTES:]


def frame_entries(log_id: UUID, entries: Iterable[LogEntry]) -> list[FramedEvent]:
    """Frame entries of the log."""
    cursor = event_cursors(log_id)
    return [
        FramedEvent(
            entry.position,
            entry.organization_id,
            entry.purchase_type,
            entry.type,
            entry.ordering_key,
            frame_event(entry.body, cursor(entry.position, entry.event_id)),
        )
        for entry in entries
    ]


def frame_event(body: bytes, cursor: bytes) -> bytes:
    """Append the cursor to a serialized event and prefix both with their tag and length."""
    return b"".join((_EVENTS_TAG, _varint(len(body) + _APPENDED), body, _CURSOR_TAG_AND_LENGTH, cursor))


def batch_response(events: Iterable[FramedEvent], cursor: bytes, lag: int) -> bytes:
    """Join framed events into one serialized response."""
    frames = [event.frame for event in events]
    frames.append(StreamFulfillmentsResponse(cursor=cursor, lag=lag).SerializeToString())
    return b"".join(frames)


@lru_cache(maxsize=4096)
def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
