"""Does what nobody was woken for: rows that have been due for a while are worked on here, without any broker."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import structlog

from payments_service.errors import PaymentsError
from payments_service.inbox.event_application import OPEN_STATES
from payments_service.orders.states import FulfillmentState
from payments_service.storage.database import Connection, Database
from payments_service.storage.fulfillment_rows import due_fulfillment_ids
from payments_service.storage.inbox_rows import due_event_ids

SWEEP_SECONDS = 1.0
OVERDUE_SECONDS = 0.8
"""How long a wake-up has, before the sweep takes its row."""
BATCH = 200
TOGETHER = 8
_log = structlog.get_logger(__name__)
Work = Callable[[str], Awaitable[None]]


class Due(Protocol):
    """Lists what has been due for a while."""

    async def __call__(self, reading: Connection, *, limit: int, overdue_seconds: float) -> list[str]:
        """Give the ids, oldest first."""


async def due_events(reading: Connection, *, limit: int, overdue_seconds: float) -> list[str]:
    """List the inbox's events that are overdue."""
    return await due_event_ids(reading, OPEN_STATES, limit, overdue_seconds)


async def due_fulfillments(reading: Connection, *, limit: int, overdue_seconds: float) -> list[str]:
    """List the fulfillments that are overdue."""
    return await due_fulfillment_ids(reading, FulfillmentState.PENDING, limit, overdue_seconds)


@dataclass(frozen=True, slots=True)
class Sweep:
    """Runs as one task a process and table; claims make any number of them safe."""

    name: str
    database: Database
    due: Due
    work: Work
    chance: Callable[[], float]

    async def run(self) -> None:
        """Sweep until cancelled, at a distance that varies a little, so that processes spread."""
        while True:
            try:
                swept = await self.sweep_once()
            except PaymentsError as error:
                _log.warning("sweep.failed", table=self.name, error=error.message)
            except Exception:
                _log.exception("sweep.failed", table=self.name)
            else:
                if swept:
                    _log.info("sweep.worked", table=self.name, rows=swept)
            await asyncio.sleep(SWEEP_SECONDS * (0.75 + self.chance() / 2))

    async def sweep_once(self, overdue_seconds: float = OVERDUE_SECONDS) -> int:
        """Work on all that is overdue now; returns on how many rows."""
        async with self.database.reading() as reading:
            row_ids = await self.due(reading, limit=BATCH, overdue_seconds=overdue_seconds)
        await _work_on(self.work, row_ids)
        return len(row_ids)


async def _work_on(work: Work, row_ids: Iterable[str]) -> None:
    places = asyncio.Semaphore(TOGETHER)

    async def one(row_id: str) -> None:
        async with places:
            await work(row_id)

    await asyncio.gather(*(one(row_id) for row_id in row_ids))
