"""The ring holds the newest events within its bounds, and says honestly from where on it does."""

from hypothesis import given
from hypothesis import strategies as st

from payments_service.event_log.log_ring import LogRing
from payments_service.event_log.response_bytes import FramedEvent


def event(position: int, size: int) -> FramedEvent:
    return FramedEvent(position, "org_1", "course", 2, "ord_1", bytes(size))


@given(
    st.integers(0, 1000),
    st.lists(st.lists(st.integers(1, 50), max_size=10), max_size=10),
    st.integers(1, 20),
    st.integers(1, 300),
)
def test_a_ring_gives_exactly_what_follows_any_position_that_it_reaches(
    head: int, pages: list[list[int]], most_events: int, most_bytes: int
) -> None:
    ring = LogRing(head, most_events, most_bytes)
    log: list[FramedEvent] = []
    for sizes in pages:
        page = [event(head + len(log) + number, size) for number, size in enumerate(sizes, 1)]
        log += page
        ring.append(page)

        kept = [entry for entry in log if entry.position > ring.floor]
        assert ring.head == head + len(log)
        assert len(kept) <= most_events
        assert sum(len(entry.frame) for entry in kept) <= most_bytes or len(kept) == 1
        for position in range(ring.floor, ring.head + 1):
            assert ring.reaches(position)
            assert ring.after(position, 5) == [entry for entry in kept if entry.position > position][:5]
        assert not ring.reaches(ring.floor - 1)
