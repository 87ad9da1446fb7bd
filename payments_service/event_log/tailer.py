"""Reads each new entry of the log once a process into a ring; streams slice the ring and have no queue of their own."""

import asyncio
from collections import deque
from itertools import islice

import structlog

from payments_service.errors import PaymentsError
from payments_service.storage.database import Database
from payments_service.storage.log_rows import LogEntry, LogHead, read_head, read_page

POLL_SECONDS = 0.5
PAGE = 1_000
RING_EVENTS = 20_000
RING_BYTES = 64 * 1024 * 1024
_log = structlog.get_logger(__name__)


class Tailer:
    """The head of the log as this process knows it, and the newest entries."""

    def __init__(self, database: Database) -> None:
        """Start at nothing; `open` finds the head."""
        self._database = database
        self._ring: deque[LogEntry] = deque()
        self._ring_bytes = 0
        self._hinted = asyncio.Event()
        self._grown = asyncio.Event()
        self.head = 0

    async def open(self) -> LogHead:
        """Stand at the head of the log; what is older is read from the database."""
        async with self._database.reading() as reading:
            head = await read_head(reading)
        self.head = head.position
        return head

    def hint(self) -> None:
        """Say that the log may have grown."""
        self._hinted.set()

    async def run(self) -> None:
        """Read what is new at each hint and each poll, until cancelled."""
        while True:
            try:
                await self._advance()
            except PaymentsError as error:
                _log.warning("event_log.tailing_failed", error=error.message)
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await self._hinted.wait()
            except TimeoutError:
                continue

    async def page_after(self, position: int, limit: int) -> list[LogEntry]:
        """Read the next entries: from the ring where it reaches back so far, else from the database."""
        if self._ring and self._ring[0].position <= position + 1:
            start = position + 1 - self._ring[0].position
            return list(islice(self._ring, start, start + limit))
        async with self._database.reading() as reading:
            return await read_page(reading, position, limit)

    def growth(self) -> asyncio.Event:
        """Give the event that is set when the head next moves; take it before looking at the head."""
        return self._grown

    async def _advance(self) -> None:
        self._hinted.clear()
        full = True
        while full:
            async with self._database.reading() as reading:
                page = await read_page(reading, self.head, PAGE)
            full = len(page) == PAGE
            self._take(page)

    def _take(self, page: list[LogEntry]) -> None:
        for entry in page:
            if entry.position != self.head + 1:
                raise HoleError(f"The log has a hole: {entry.position} follows {self.head}.")
            self.head = entry.position
            self._ring.append(entry)
            self._ring_bytes += len(entry.body)
        while len(self._ring) > RING_EVENTS or self._ring_bytes > RING_BYTES:
            self._ring_bytes -= len(self._ring.popleft().body)
        if page:
            grown, self._grown = self._grown, asyncio.Event()
            grown.set()


class HoleError(PaymentsError):
    """Raised when positions are not contiguous: a broken promise of the log that an operator must see."""
