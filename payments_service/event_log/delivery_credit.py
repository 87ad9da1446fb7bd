"""How much may be outstanding at one member, by events and by bytes. Pure."""

MOST_EVENTS = 10_000
DEFAULT_BYTES = 4 * 1024 * 1024


class DeliveryCredit:
    """One event always fits, however large it is: else it would never come."""

    def __init__(self, events: int, most_bytes: int) -> None:
        """Take what the member allows."""
        self._most_events = events
        self._most_bytes = most_bytes
        self.events = 0
        self._bytes = 0

    def fits(self, size: int) -> bool:
        """Say whether one more event of a size may go out."""
        return self.events == 0 or (self.events < self._most_events and self._bytes + size <= self._most_bytes)

    @property
    def free_events(self) -> int:
        """How many more events may go out, were they small."""
        return self._most_events - self.events

    def take(self, size: int) -> None:
        """Count an event that goes out."""
        self.events += 1
        self._bytes += size

    def give(self, size: int) -> None:
        """Count one that is settled."""
        self.events -= 1
        self._bytes -= size

    def add(self, events: int) -> None:
        """Allow more events."""
        self._most_events = min(self._most_events + events, MOST_EVENTS)
