"""A response spliced from stored bytes is what protobuf itself would have written, and reads as that."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent, UnclaimedStripeEvent
from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import StreamFulfillmentsResponse
from payments_service.contract.pb.payments.v1.order_pb2 import Fulfillment, Order, Refund
from payments_service.event_log.cursor import cursor_at, encode_cursor
from payments_service.event_log.response_bytes import batch_response, frame_entries
from payments_service.storage.log_frames import CURSOR_BYTES, body_of
from payments_service.storage.log_rows import LogEntry

LOG = UUID("0191a2b3-c4d5-7e6f-8a9b-0c1d2e3f4a5b")
text = st.text(max_size=20)
fulfillments = st.builds(
    Fulfillment, fulfillment_id=text, attempts=st.integers(0, 9), result=st.dictionaries(text, text, max_size=3)
)
# The longer ones need a length prefix of two and of three bytes.
orders = st.builds(
    Order,
    order_id=text,
    user_id=st.integers(0, 20_000).map(lambda size: "u" * size),
    fulfillments=st.lists(fulfillments, max_size=3),
)
plain_events = st.builds(
    FulfillmentEvent,
    event_id=st.uuids().map(str),
    type=st.sampled_from(FulfillmentEvent.Type.values()),
    organization_id=text,
    order_id=text,
    order_version=st.integers(-(2**63), 2**63 - 1),
    order=st.none() | orders,
    fulfillment=st.none() | fulfillments,
)
events_with_later_fields = st.builds(
    FulfillmentEvent,
    event_id=st.uuids().map(str),
    unclaimed=st.builds(UnclaimedStripeEvent, payload=st.binary(max_size=300)),
    refund=st.none() | st.builds(Refund, refund_id=text),
)


def entries_of(events: list[FulfillmentEvent], first: int) -> list[LogEntry]:
    return [
        LogEntry(
            position, event.event_id, "org", "course", event.type, "key", event.SerializeToString(deterministic=True)
        )
        for position, event in enumerate(events, first)
    ]


def frames_of(events: list[FulfillmentEvent], first: int) -> list[bytes]:
    return [event.frame for event in frame_entries(LOG, entries_of(events, first))]


def with_cursors(events: list[FulfillmentEvent], first: int) -> list[FulfillmentEvent]:
    """Give the same events as a service would send that parses, sets the field and serializes again."""
    copies = []
    for position, event in enumerate(events, first):
        copy = FulfillmentEvent()
        copy.CopyFrom(event)
        copy.cursor = encode_cursor(cursor_at(LOG, position, event.event_id))
        copies.append(copy)
    return copies


@given(
    st.lists(plain_events | events_with_later_fields, max_size=6),
    st.integers(1, 2**62),
    st.binary(max_size=40),
    st.integers(0, 2**62),
)
def test_protobuf_reads_a_spliced_response_as_its_events_with_their_cursors(
    events: list[FulfillmentEvent], first: int, cursor: bytes, lag: int
) -> None:
    spliced = batch_response(frames_of(events, first), cursor, lag)

    expected = StreamFulfillmentsResponse(events=with_cursors(events, first), cursor=cursor, lag=lag)
    assert StreamFulfillmentsResponse.FromString(spliced) == expected


@given(st.lists(plain_events, max_size=6), st.integers(1, 2**62), st.binary(max_size=40), st.integers(0, 2**62))
def test_a_spliced_response_is_byte_for_byte_protobufs_own(
    events: list[FulfillmentEvent], first: int, cursor: bytes, lag: int
) -> None:
    spliced = batch_response(frames_of(events, first), cursor, lag)

    whole = StreamFulfillmentsResponse(events=with_cursors(events, first), cursor=cursor, lag=lag)
    assert spliced == whole.SerializeToString(deterministic=True)


@given(plain_events)
def test_a_framed_event_knows_its_own_cursor(event: FulfillmentEvent) -> None:
    (framed,) = frame_entries(LOG, entries_of([event], 7))

    assert framed.cursor == encode_cursor(cursor_at(LOG, 7, event.event_id))
    assert len(framed.cursor) == CURSOR_BYTES


@given(plain_events | events_with_later_fields)
def test_a_frame_gives_its_body_back(event: FulfillmentEvent) -> None:
    ((entry,), (framed,)) = entries_of([event], 7), frames_of([event], 7)

    assert body_of(framed) == entry.body
