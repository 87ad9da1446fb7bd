"""A batch takes what a filter lets through, in order, and ends at its count and at its bytes, whichever comes first."""

from hypothesis import given
from hypothesis import strategies as st

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentFilter
from payments_service.event_log.event_batch import BATCH_BYTES, EventBatch
from payments_service.event_log.event_page import EventPage
from payments_service.event_log.response_bytes import FramedEvent
from payments_service.event_log.stream_filter import StreamFilter, stream_filter
from payments_service.scope import EVERYTHING, Scope

SIZES = [10, BATCH_BYTES // 3, BATCH_BYTES + 1]
events = st.tuples(
    st.sampled_from([2, 3, 17]), st.sampled_from(["org_1", "org_2"]), st.sampled_from(["ord_1", "ord_2"]), st.integers()
)
filters = st.builds(
    stream_filter,
    st.builds(
        FulfillmentFilter,
        types=st.lists(st.just(2), max_size=1),
        order_ids=st.lists(st.sampled_from(["ord_1", "ord_2"]), max_size=1),
    ),
    st.sampled_from([EVERYTHING, Scope(frozenset({"org_1"}), None), Scope(frozenset(), None)]),
)


def page_of(rows: list[tuple[int, str, str, int]], first: int = 1) -> EventPage:
    sizes = [SIZES[number % 20] if number % 20 < len(SIZES) else 10 for *_, number in rows]
    frames = b"".join(bytes([index % 251]) * size for index, size in enumerate(sizes))
    kinds = [(event_type, organization, "course") for event_type, organization, _, _ in rows]
    return EventPage(first, frames, sizes, kinds, [order for _, _, order, _ in rows])


def naive_batches(events: list[FramedEvent], size: int) -> list[list[bytes]]:
    batches: list[list[bytes]] = [[]]
    for event in events:
        batch = batches[-1]
        if batch and (len(batch) == size or sum(map(len, batch)) + len(event.frame) > BATCH_BYTES):
            batches.append([])
        batches[-1].append(event.frame)
    return batches


@given(st.lists(events, min_size=1, max_size=40), filters, st.integers(1, 10), st.data())
def test_a_page_is_cut_as_a_naive_reader_would(
    rows: list[tuple[int, str, str, int]], matches: StreamFilter, size: int, data: st.DataObject
) -> None:
    page = page_of(rows)
    start = data.draw(st.integers(0, len(page) - 1))
    runs = matches.runs(page, range(start, len(page)))
    batches: list[list[bytes]] = []
    at, batch = start, EventBatch(size)
    while at < len(page):
        before, at = at, batch.take(page, runs, at)
        assert at > before or batch.is_full
        if batch.is_full:
            batches.append([bytes(b"".join(batch.frames()))])
            batch = EventBatch(size)
    if batch.count:
        batches.append([bytes(b"".join(batch.frames()))])

    wanted = naive_batches([event for event in page.events[start:] if matches(event)], size)
    assert [b"".join(parts) for parts in batches] == [b"".join(parts) for parts in wanted if parts]


def test_a_batch_may_hold_runs_of_several_pages_and_lets_go_of_what_may_no_longer_be_seen() -> None:
    batch, everything = EventBatch(100), stream_filter(FulfillmentFilter(), EVERYTHING)
    for first in (1, 4):
        page = page_of([(2, "org_1", "ord_1", 5), (2, "org_2", "ord_1", 5), (2, "org_1", "ord_1", 5)], first)
        batch.take(page, everything.runs(page, range(3)), 0)

    assert batch.count == 6
    batch.keep_only(stream_filter(FulfillmentFilter(), Scope(frozenset({"org_2"}), None)))

    assert batch.count == 2
    assert [bytes(frame) for frame in batch.frames()] == [b"\x01" * 10, b"\x01" * 10]


@given(st.lists(events, min_size=1, max_size=40), filters)
def test_runs_hold_what_the_filter_says_of_each_event(
    rows: list[tuple[int, str, str, int]], matches: StreamFilter
) -> None:
    page = page_of(rows)

    chosen = [index for run in matches.runs(page, range(len(page))) for index in run]

    assert chosen == [index for index, event in enumerate(page.events) if matches(event)]
