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
from payments_service.event_log.log_ring import LogRing
from payments_service.event_log.poked_loop import PokedLoop
from payments_service.event_log.response_bytes import FramedEvent, frame_entries
from payments_service.observability.log_metrics import note_discontinued
from payments_service.storage.database import Connection, Database
from payments_service.storage.log_rows import (
    LogEntry,
    LogHead,
    read_event_id,
    read_head,
    read_head_and_event_id,
    read_page,
)

POLL_SECONDS = 0.5
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TailerBounds:
    """How much of the log is in memory, and how much is read at once."""

    ring_events: int = 20_000
    ring_bytes: int = 64 * 1024 * 1024
    page_events: int = 512
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
        self._newest: str | None = None
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
            self._newest = await read_event_id(reading, head.position)
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

    async def events_after(self, position: int) -> Sequence[FramedEvent]:
        """Give the next events, at most a page, empty at the head; they begin later only where the log was trimmed."""
        if position >= self.head:
            return ()
        if self._ring.reaches(position):
            return self._ring.after(position, self._bounds.page_events)
        return await self._pages.after(position, self._ring.floor)

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
                page = await self._read_new(reading)
            if page is None:
                await self._start_over()
                return
            full = len(page) == self._bounds.page_events
            self._take(page)

    async def _read_new(self, reading: Connection) -> list[LogEntry] | None:
        """Read what follows; None where what was read last no longer stands where it stood."""
        log, standing = await read_head_and_event_id(reading, self.head)
        same = log.log_id == self._log_id and log.position >= self.head >= log.trimmed_through
        trimmed_away = standing is None and self.head == log.trimmed_through
        if not same or not (standing == self._newest or trimmed_away):
            return None
        return await read_page(reading, self.head, self._bounds.page_events) if log.position > self.head else []

    async def _start_over(self) -> None:
        """Stand at the head anew: the database was restored or failed over, or retention overtook us."""
        before = self.head
        head = await self.open()
        self.lineage += 1
        note_discontinued()
        _log.error("event_log.discontinued", read_through=before, head=head.position, log_id=str(head.log_id))
        self.wake()

    def _take(self, page: list[LogEntry]) -> None:
        if not page:
            return
        _require_contiguous(self.head, page)
        self._ring.append(frame_entries(self._log_id, page))
        self._newest = page[-1].event_id
        self.wake()

    def _ring_at(self, head: int) -> LogRing:
        return LogRing(head, self._bounds.ring_events, self._bounds.ring_bytes)

    async def _read(self, position: int, limit: int) -> list[FramedEvent]:
        async with self._database.reading() as reading:
            page = await read_page(reading, position, limit)
        if page:
            _require_contiguous(page[0].position - 1, page)
        return frame_entries(self._log_id, page)


def _require_contiguous(before: int, page: list[LogEntry]) -> None:
    if page[0].position != before + 1 or page[-1].position - before != len(page):
        raise HoleError(
            f"The log has a hole between {before} and {page[-1].position}: {len(page)} entries stand there."
        )
