"""The ring holds the newest events within its bounds, and says honestly from where on it does."""

from hypothesis import given
from hypothesis import strategies as st

from payments_service.event_log.event_page import EventPage
from payments_service.event_log.log_ring import LogRing
from payments_service.event_log.response_bytes import FramedEvent


def page_at(first: int, sizes: list[int]) -> EventPage:
    frames = b"".join(bytes([number]) * size for number, size in enumerate(sizes))
    kinds = [(2, "org_1", f"type_{first + number}") for number in range(len(sizes))]
    return EventPage(first, frames, sizes, kinds, [f"ord_{first + number}" for number in range(len(sizes))])


@given(
    st.integers(0, 1000),
    st.lists(st.lists(st.integers(1, 50), min_size=1, max_size=10), max_size=10),
    st.integers(1, 20),
    st.integers(1, 300),
)
def test_a_ring_gives_exactly_what_follows_any_position_that_it_reaches(
    head: int, pages: list[list[int]], most_events: int, most_bytes: int
) -> None:
    ring = LogRing(head, most_events, most_bytes)
    log: list[FramedEvent] = []
    for sizes in pages:
        page = page_at(head + len(log) + 1, sizes)
        log += page.events
        ring.append(page)

        kept = [entry for entry in log if entry.position > ring.floor]
        assert ring.head == head + len(log)
        is_within = len(kept) <= most_events and sum(len(entry.frame) for entry in kept) <= most_bytes
        assert is_within or kept == page.events
        for position in range(ring.floor, ring.head):
            assert ring.reaches(position)
            given_ = ring.after(position, 5).events_after(position)
            assert list(given_[:5]) == [entry for entry in kept if entry.position > position][:5]
        assert not ring.reaches(ring.floor - 1)


def test_who_asks_for_the_same_gets_the_same_until_the_log_has_grown() -> None:
    ring = LogRing(0, 100, 10_000)
    for first in (1, 2, 3):
        ring.append(page_at(first, [10]))

    shared = ring.after(0, 100)
    assert ring.after(0, 100) is shared
    ring.append(page_at(4, [10]))
    assert [event.position for event in ring.after(0, 100).events] == [1, 2, 3, 4]
