"""Tells the database's time, so that what processes decide by the time does not hang on the clocks of their hosts.

It is asked for now and then, and counted on from there by a clock that never jumps.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select

from payments_service.errors import StorageUnavailableError
from payments_service.storage.column_types import database_now
from payments_service.storage.database import Database

ASK_SECONDS = 30.0
WORTH_TELLING = timedelta(seconds=5)
_log = structlog.get_logger(__name__)


class DatabaseClock:
    """Call it for the time, once it was set."""

    def __init__(
        self, database: Database, host: Callable[[], datetime], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the host's clock too: how far it is off is told in the log, for Stripe's signatures go by it."""
        self._database = database
        self._host = host
        self._monotonic = monotonic
        self._known, self._known_at = host(), monotonic()
        self._told_off = timedelta()

    def __call__(self) -> datetime:
        """Give the time."""
        return self._known + timedelta(seconds=self._monotonic() - self._known_at)

    async def set(self) -> None:
        """Ask the database; raises StorageUnavailableError."""
        asked = self._monotonic()
        async with self._database.reading() as reading:
            now = (await reading.execute(select(database_now()))).scalar_one()
        self._known, self._known_at = now, (asked + self._monotonic()) / 2
        self._tell(self._host() - self())

    async def run(self) -> None:
        """Ask again and again, until cancelled; while the database is away it counts on."""
        while True:
            await asyncio.sleep(ASK_SECONDS)
            try:
                await self.set()
            except StorageUnavailableError:
                continue

    def _tell(self, off: timedelta) -> None:
        """Say that the host's clock is wrong, and that it is right again, each once."""
        if abs(off - self._told_off) > WORTH_TELLING:
            self._told_off = off
            _log.warning("clock.differs_from_the_database", ahead_seconds=round(off.total_seconds()))
