"""The newest events of the log in memory, once for every stream; pure, bounded by count and by bytes."""

from payments_service.event_log.event_page import EventPage, joined


class LogRing:
    """Holds the events of the positions after `floor` up to `head`, in the pages in which they were read."""

    def __init__(self, head: int, most_events: int, most_bytes: int) -> None:
        """Start empty at the head of the log."""
        self.head = head
        self.floor = head
        self._pages: dict[int, EventPage] = {}
        self._bytes = 0
        self._most_events = most_events
        self._most_bytes = most_bytes
        self._latest: tuple[int, EventPage] | None = None

    def append(self, page: EventPage) -> None:
        """Take what follows the head, and let go of the oldest beyond the bounds, never of this page."""
        self._pages.update(dict.fromkeys(range(page.first, page.last + 1), page))
        self._bytes += len(page.frames)
        self.head = page.last
        self._latest = None
        while len(self._pages) > self._most_events or self._bytes > self._most_bytes:
            oldest = self._pages[self.floor + 1]
            if oldest is page:
                return
            self._let_go(oldest)

    def reaches(self, position: int) -> bool:
        """Say whether everything after a position is here."""
        return position >= self.floor

    def after(self, position: int, limit: int) -> EventPage:
        """Give a page in which stands what follows a position that the ring reaches and that is not its head.

        It holds at least `limit` events after the position, where there are so many; who asks for the same, as all
        live streams do, gets the same.
        """
        if self._latest is None or self._latest[0] != position:
            self._latest = position, self._page_after(position, limit)
        return self._latest[1]

    def _page_after(self, position: int, limit: int) -> EventPage:
        pages = [self._pages[position + 1]]
        while pages[-1].last < min(position + limit, self.head):
            pages.append(self._pages[pages[-1].last + 1])
        return joined(pages)

    def _let_go(self, page: EventPage) -> None:
        for position in range(page.first, page.last + 1):
            del self._pages[position]
        self._bytes -= len(page.frames)
        self.floor = page.last
