"""Writes stream responses from stored frames without parsing them; it knows the wire format and nothing else."""

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import StreamFulfillmentsResponse
from payments_service.storage.log_frames import CURSOR_BYTES, cursor_bytes, event_tag, frame_event
from payments_service.storage.log_rows import LogEntry


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
    """Frame entries whose bodies are kept apart from the log."""
    return [
        FramedEvent(
            entry.position,
            entry.organization_id,
            entry.purchase_type,
            entry.type,
            entry.ordering_key,
            frame_event(entry.body, cursor_bytes(log_id, entry.position, event_tag(entry.event_id))),
        )
        for entry in entries
    ]


def batch_response(frames: Iterable[bytes | memoryview], cursor: bytes, lag: int) -> bytes:
    """Join framed events into one serialized response."""
    return b"".join((*frames, StreamFulfillmentsResponse(cursor=cursor, lag=lag).SerializeToString()))
