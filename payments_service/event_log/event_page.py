"""A run of the log in memory, shared by all streams that stand in it: its bytes whole, and columns for the filters.

Positions have no gaps, so an event is an index; whoever needs events one by one gets them made once a page.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate, chain

from payments_service.errors import HoleError
from payments_service.event_log.response_bytes import FramedEvent
from payments_service.storage.log_frames import CURSOR_BYTES
from payments_service.storage.log_page_rows import LogPage

Kind = tuple[int, str, str]
"""An event's type, organization and purchase type: few differ in a page, so filters look at each kind once."""


class EventPage:
    """Events of the positions from `first` to `last`; there is at least one."""

    def __init__(
        self, first: int, frames: bytes, sizes: Iterable[int], kinds: list[Kind], ordering_keys: list[str]
    ) -> None:
        """Take the frames one after the other, and an item an event of everything else."""
        self.first = first
        self.last = first + len(kinds) - 1
        self.frames = frames
        self.ends = list(accumulate(sizes, initial=0))
        """Where the frames end, the first of them at 1; 0 at 0."""
        self.kinds = kinds
        self.ordering_keys = ordering_keys

    def __len__(self) -> int:
        return len(self.kinds)

    @cached_property
    def different_kinds(self) -> frozenset[Kind]:
        """The kinds that there are."""
        return frozenset(self.kinds)

    @cached_property
    def events(self) -> list[FramedEvent]:
        """The events one by one."""
        rows = zip(self.kinds, self.ordering_keys, range(len(self)), strict=True)
        return [
            FramedEvent(self.first + index, organization, purchase, kind, key, self.frame(index))
            for (kind, organization, purchase), key, index in rows
        ]

    def events_after(self, position: int) -> Sequence[FramedEvent]:
        """Give what follows a position, all where the page begins later."""
        return self.events[max(position + 1 - self.first, 0) :]

    def frame(self, index: int) -> bytes:
        """Give one event as it goes out."""
        return self.frames[self.ends[index] : self.ends[index + 1]]

    def cursor(self, index: int) -> bytes:
        """Give the token to resume from strictly after an event."""
        return self.frames[self.ends[index + 1] - CURSOR_BYTES : self.ends[index + 1]]


def page_of(stored: LogPage) -> EventPage | None:
    """Take a page as the database gave it, None for an empty one; raises HoleError."""
    if not stored.positions:
        return None
    first, last, count = stored.positions[0], stored.positions[-1], len(stored.positions)
    if last - first + 1 != count:
        raise HoleError(f"The log has a hole between {first} and {last}: {count} entries stand there.")
    kinds = list(zip(stored.types, stored.organization_ids, stored.purchase_types, strict=True))
    return EventPage(first, stored.frames, stored.sizes, kinds, stored.ordering_keys)


def joined(pages: Sequence[EventPage]) -> EventPage:
    """Make one page of some that follow each other."""
    if len(pages) == 1:
        return pages[0]
    return EventPage(
        pages[0].first,
        b"".join(page.frames for page in pages),
        chain.from_iterable(map(_sizes, pages)),
        list(chain.from_iterable(page.kinds for page in pages)),
        list(chain.from_iterable(page.ordering_keys for page in pages)),
    )


def _sizes(page: EventPage) -> Iterator[int]:
    return (end - start for start, end in zip(page.ends, page.ends[1:], strict=False))
