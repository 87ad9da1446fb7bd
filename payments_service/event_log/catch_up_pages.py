"""Pages of the log for streams that stand behind the ring: aligned, so that streams at the same place share them.

However many streams reconnect at once, a page is read once while it is read, kept a while, and few are read at
a time.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from payments_service.event_log.event_page import EventPage

READS_AT_ONCE = 4
READ_AHEAD = 2
"""Pages: one alone is late where the database shares its processors with others."""
Page = EventPage | None
"""None where the log holds nothing there."""


class CatchUpPages:
    """A least-recently-used cache of pages with one read for all who want the same."""

    def __init__(self, read: Callable[[int, int], Awaitable[Page]], page_events: int, most_bytes: int) -> None:
        """Take how to read the events after a position, at most so many."""
        self._read = read
        self._page_events = page_events
        self._most_bytes = most_bytes
        self._turns = asyncio.Semaphore(READS_AT_ONCE)
        self._kept: OrderedDict[int, EventPage] = OrderedDict()
        self._bytes = 0
        self._flights: dict[int, asyncio.Task[Page]] = {}
        self.reads = 0
        """How many pages were read from the database."""

    async def after(self, position: int, floor: int) -> Page:
        """Give the page in which stands what follows a position; None where the log holds nothing after it.

        The pages after that are read ahead, while this one is sent, unless what stands after `floor` is in memory.
        """
        number = position // self._page_events
        page = await self._page(number, position)
        for ahead in range(number + 1, number + 1 + READ_AHEAD):
            if ahead * self._page_events < floor and ahead not in self._kept:
                self._flight(ahead)
        return page

    async def _page(self, number: int, position: int) -> Page:
        kept = self._kept.get(number)
        if _holds_after(kept, position):
            self._kept.move_to_end(number)
            return kept
        # A read that was under way when we came may have looked before our position was there; the next cannot.
        for _ in range(2):
            page = await asyncio.shield(self._flight(number))
            if _holds_after(page, position):
                return page
        return None

    def forget(self) -> None:
        """Let go of everything, also of what is being read: the log is not the one that it was."""
        self._kept.clear()
        self._bytes = 0
        self._flights.clear()

    async def close(self) -> None:
        """Wait for what is being read: a read that is cut off takes its connection with it."""
        await asyncio.gather(*self._flights.values(), return_exceptions=True)

    def _flight(self, number: int) -> asyncio.Task[Page]:
        task = self._flights.get(number)
        if task is None or task.done():
            task = asyncio.create_task(self._load(number), name=f"log page {number}")
            task.add_done_callback(_heed)
            self._flights[number] = task
        return task

    async def _load(self, number: int) -> Page:
        try:
            async with self._turns:
                self.reads += 1
                page = await self._read(number * self._page_events, self._page_events)
        finally:
            current = self._flights.get(number) is asyncio.current_task()
            if current:
                del self._flights[number]
        if current and page is not None:
            self._keep(number, page)
        return page

    def _keep(self, number: int, page: EventPage) -> None:
        before = self._kept.pop(number, None)
        self._kept[number] = page
        self._bytes += len(page.frames) - (len(before.frames) if before else 0)
        while len(self._kept) > 1 and self._bytes > self._most_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= len(oldest.frames)


def _holds_after(page: Page, position: int) -> bool:
    return page is not None and page.last > position


def _heed(flight: asyncio.Task[Page]) -> None:
    """Take note of a failure that nobody waits for: whoever needs the page reads it again."""
    if not flight.cancelled():
        flight.exception()
