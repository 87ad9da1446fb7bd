"""The newest events of the log in memory, framed once for every stream; pure, bounded by count and by bytes."""

from collections.abc import Iterable

from payments_service.event_log.response_bytes import FramedEvent


class LogRing:
    """Holds the events of the positions after `floor` up to `head`; positions have no gaps, so a dict is an index."""

    def __init__(self, head: int, most_events: int, most_bytes: int) -> None:
        """Start empty at the head of the log."""
        self.head = head
        self.floor = head
        self._events: dict[int, FramedEvent] = {}
        self._bytes = 0
        self._most_events = most_events
        self._most_bytes = most_bytes

    def append(self, events: Iterable[FramedEvent]) -> None:
        """Take what follows the head, and let go of the oldest beyond the bounds."""
        for event in events:
            self._events[event.position] = event
            self._bytes += len(event.frame)
            self.head = event.position
        while len(self._events) > self._most_events or (self._bytes > self._most_bytes and len(self._events) > 1):
            self.floor += 1
            self._bytes -= len(self._events.pop(self.floor).frame)

    def reaches(self, position: int) -> bool:
        """Say whether everything after a position is here."""
        return position >= self.floor

    def after(self, position: int, limit: int) -> list[FramedEvent]:
        """Slice what follows a position that the ring reaches."""
        return [self._events[number] for number in range(position + 1, min(position + limit, self.head) + 1)]
