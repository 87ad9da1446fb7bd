"""Writes deliveries from framed events without parsing them, as response_bytes does for streams; pure wire format."""

from collections.abc import Iterable

from payments_service.event_log.response_bytes import FramedEvent
from payments_service.storage.log_frames import body_of, varint

_ACK_ID_TAG = b"\x0a"
_EVENT_TAG = b"\x12"
_ATTEMPT_TAG = b"\x18"
_DELIVERY_TAG = b"\x0a"
_DELIVERIES_TAG = b"\x12"


def delivery_bytes(ack_id: bytes, event: FramedEvent, attempt: int) -> bytes:
    """Write one element of Deliveries.deliveries."""
    delivery = b"".join(
        (_ACK_ID_TAG, varint(len(ack_id)), ack_id, _EVENT_TAG, event.frame[1:], _ATTEMPT_TAG, varint(attempt))
    )
    return b"".join((_DELIVERY_TAG, varint(len(delivery)), delivery))


def deliveries_response(deliveries: Iterable[bytes]) -> bytes:
    """Write a ConsumeFulfillmentsResponse of deliveries."""
    body = b"".join(deliveries)
    return b"".join((_DELIVERIES_TAG, varint(len(body)), body))


def event_body(event: FramedEvent) -> bytes:
    """Give an event's bytes as they were before it had a place in the log."""
    return body_of(event.frame)
