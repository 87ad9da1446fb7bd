"""One batch of a stream in the making: ended by its count, by its bytes, or by whoever sends it."""

from collections.abc import Sequence

from payments_service.event_log.response_bytes import FramedEvent
from payments_service.event_log.stream_filter import Matches

BATCH_BYTES = 1024 * 1024


class EventBatch:
    """Takes matching events until it is full; one event is taken however large it is."""

    def __init__(self, size: int) -> None:
        """Take at how many events it is full."""
        self._size = size
        self._bytes = 0
        self.events: list[FramedEvent] = []
        self.is_full = False

    def take(self, page: Sequence[FramedEvent], start: int, matches: Matches) -> int:
        """Examine a page's events from an index on, take what matches; gives the index of the first not examined."""
        for index in range(start, len(page)):
            event = page[index]
            if not matches(event):
                continue
            size = self._bytes + len(event.frame)
            if self.events and size > BATCH_BYTES:
                self.is_full = True
                return index
            self.events.append(event)
            self._bytes = size
            if len(self.events) == self._size:
                self.is_full = True
                return index + 1
        return len(page)

    def keep_only(self, matches: Matches) -> None:
        """Let go of what may no longer be seen."""
        self.events = [event for event in self.events if matches(event)]
