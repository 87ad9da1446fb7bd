"""Reads each new entry of the log once a process into a ring; streams slice the ring and have no queue of their own.

It never skips: where the log no longer continues what was read (a hole, a restored database), it says so, and
streams check their cursors again.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from payments_service.errors import HoleError
from payments_service.event_log.catch_up_pages import CatchUpPages
from payments_service.event_log.cursor import cursor_at, decode_cursor
from payments_service.event_log.event_page import EventPage, page_of
from payments_service.event_log.log_ring import LogRing
from payments_service.event_log.poked_loop import PokedLoop
from payments_service.event_log.response_bytes import FramedEvent
from payments_service.observability.log_metrics import note_discontinued
from payments_service.storage.database import Database
from payments_service.storage.log_frames import NO_TAG
from payments_service.storage.log_page_rows import LogNews, read_news, read_page
from payments_service.storage.log_rows import LogHead, read_event_id, read_head

POLL_SECONDS = 0.5
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TailerBounds:
    """How much of the log is in memory, and how much is read at once."""

    ring_events: int = 20_000
    ring_bytes: int = 64 * 1024 * 1024
    page_events: int = 1024
    pages_bytes: int = 32 * 1024 * 1024


DEFAULT_BOUNDS = TailerBounds()


class Tailer:
    """The head of the log as this process knows it, the newest events, and pages of the older ones."""

    def __init__(self, database: Database, bounds: TailerBounds = DEFAULT_BOUNDS) -> None:
        """Start at nothing; `open` finds the head."""
        self._database = database
        self._bounds = bounds
        self._ring = self._ring_at(0)
        self._pages = CatchUpPages(self._read, bounds.page_events, bounds.pages_bytes)
        self._log_id = UUID(int=0)
        self._newest = NO_TAG
        self._grown = asyncio.Event()
        self._loop = PokedLoop("event_log.tailer", self._step, POLL_SECONDS)
        self.lineage = 0
        """+1 each time the log turned out not to continue what was read from it."""

    @property
    def head(self) -> int:
        """The last position that this process has read."""
        return self._ring.head

    @property
    def page_reads(self) -> int:
        """How many pages of older events were read from the database."""
        return self._pages.reads

    async def open(self) -> LogHead:
        """Stand at the head of the log; what is older is read from the database."""
        async with self._database.reading() as reading:
            head = await read_head(reading)
            event_id = await read_event_id(reading, head.position)
        self._newest = cursor_at(head.log_id, head.position, event_id).tag
        self._log_id = head.log_id
        self._ring = self._ring_at(head.position)
        self._pages.forget()
        return head

    def hint(self) -> None:
        """Say that the log may have grown."""
        self._loop.poke()

    async def run(self) -> None:
        """Read what is new at each hint and each poll, until cancelled; no failure ends it."""
        try:
            await self._loop.run()
        finally:
            await self._pages.close()

    def reaches(self, position: int) -> bool:
        """Say whether everything after a position is in memory."""
        return self._ring.reaches(position)

    async def page_after(self, position: int) -> EventPage | None:
        """Give a page in which stands what follows a position, None at the head.

        It begins after the next position only where the log was trimmed.
        """
        if position >= self.head:
            return None
        if self._ring.reaches(position):
            return self._ring.after(position, self._bounds.page_events)
        return await self._pages.after(position, self._ring.floor)

    async def events_after(self, position: int) -> Sequence[FramedEvent]:
        """Give the next events one by one, at most a page; none at the head."""
        page = await self.page_after(position)
        return page.events_after(position) if page is not None else ()

    def growth(self) -> asyncio.Event:
        """Give the event that is set when the head next moves; take it before looking at the head."""
        return self._grown

    def wake(self) -> None:
        """Let everybody who waits for growth look around, for another reason than growth."""
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()

    async def _step(self, _: bool) -> None:
        full = True
        while full:
            async with self._database.reading() as reading:
                news = await read_news(reading, self.head, self._bounds.page_events)
            if not self._goes_on(news):
                await self._start_over()
                return
            full = len(news.page.positions) == self._bounds.page_events
            self._take(page_of(news.page))

    def _goes_on(self, news: LogNews) -> bool:
        """Say whether what was read last still stands where it stood."""
        log = news.head
        same = log.log_id == self._log_id and log.position >= self.head >= log.trimmed_through
        trimmed_away = news.event_id is None and self.head == log.trimmed_through
        return same and (trimmed_away or cursor_at(log.log_id, self.head, news.event_id).tag == self._newest)

    async def _start_over(self) -> None:
        """Stand at the head anew: the database was restored or failed over, or retention overtook us."""
        before = self.head
        head = await self.open()
        self.lineage += 1
        note_discontinued()
        _log.error("event_log.discontinued", read_through=before, head=head.position, log_id=str(head.log_id))
        self.wake()

    def _take(self, page: EventPage | None) -> None:
        if page is None:
            return
        if page.first != self.head + 1:
            raise HoleError(f"After {self.head} the log goes on with {page.first}.")
        self._ring.append(page)
        self._newest = decode_cursor(page.cursor(len(page) - 1)).tag
        self.wake()

    def _ring_at(self, head: int) -> LogRing:
        return LogRing(head, self._bounds.ring_events, self._bounds.ring_bytes)

    async def _read(self, position: int, limit: int) -> EventPage | None:
        async with self._database.reading() as reading:
            return page_of(await read_page(reading, position, limit))
