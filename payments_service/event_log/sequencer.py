"""Moves staged events into the log, one batch a transaction; poked by whoever commits, and by a tick behind them.

A poke is only a hint: a process that dies between its commit and its poke costs one tick.
"""

import asyncio
from collections.abc import Callable

import structlog

from payments_service.errors import PaymentsError
from payments_service.storage.database import Database
from payments_service.storage.log_rows import SEQUENCE_BATCH, sequence_events

TICK_SECONDS = 0.5
_log = structlog.get_logger(__name__)


class Sequencer:
    """Runs as one task a process; the head row's lock makes any number of them safe."""

    def __init__(self, database: Database, on_sequenced: Callable[[], None]) -> None:
        """Take who is told when the log has grown."""
        self._database = database
        self._on_sequenced = on_sequenced
        self._poked = asyncio.Event()

    def poke(self) -> None:
        """Say that something was committed; many pokes are one run."""
        self._poked.set()

    async def run(self) -> None:
        """Sequence at each poke and each tick, until cancelled."""
        while True:
            try:
                await self.drain()
            except PaymentsError as error:
                _log.warning("event_log.sequencing_failed", error=error.message)
            try:
                async with asyncio.timeout(TICK_SECONDS):
                    await self._poked.wait()
            except TimeoutError:
                continue

    async def drain(self) -> None:
        """Sequence all that is staged now."""
        self._poked.clear()
        moved = SEQUENCE_BATCH
        while moved == SEQUENCE_BATCH:
            async with self._database.transaction() as tx:
                moved = await sequence_events(tx)
            if moved:
                self._on_sequenced()
