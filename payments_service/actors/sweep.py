"""Does what nobody was woken for: rows that have been due for a while are worked on here, without any broker."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from payments_service.actors.duty import Duty
from payments_service.inbox.event_application import OPEN_STATES
from payments_service.observability.work_metrics import note_swept
from payments_service.orders.states import FulfillmentState, RefundState
from payments_service.storage.database import Connection, Database
from payments_service.storage.fulfillment_rows import ALL_TYPES, PurchaseTypes, due_fulfillment_ids
from payments_service.storage.inbox_rows import due_event_ids
from payments_service.storage.lease_rows import Fence
from payments_service.storage.refund_rows import unanswered_refund_ids

SWEEP_SECONDS = 0.5
OVERDUE_SECONDS = 0.5
"""How long a wake-up has, before the sweep takes its row."""
ROUND_SECONDS = 0.25
"""How long a round waits for what it has begun: what comes meanwhile is seen in the next."""
CALLER_SECONDS = 20.0
"""How long whoever asked for a refund may repeat the call, before the sweep asks Stripe."""
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


def due_of(types: PurchaseTypes) -> Due:
    """List the fulfillments of some purchase types."""

    async def due(reading: Connection, *, limit: int, overdue_seconds: float) -> list[str]:
        return await due_fulfillment_ids(reading, FulfillmentState.PENDING, limit, overdue_seconds, types)

    return due


due_fulfillments = due_of(ALL_TYPES)


async def due_refunds(reading: Connection, *, limit: int, overdue_seconds: float) -> list[str]:
    """List the refunds whose caller has gone away before Stripe had answered."""
    return await unanswered_refund_ids(reading, RefundState.REQUESTED, limit, overdue_seconds + CALLER_SECONDS)


@dataclass(frozen=True, slots=True)
class Sweep:
    """Looks at one table."""

    name: str
    database: Database
    due: Due
    work: Work
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(TOGETHER))
    busy: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    """What is in work since this round or an earlier one: a slow row holds up none that comes later."""

    @property
    def duty(self) -> Duty:
        """One worker's duty at a time; claims make any number of them safe."""
        return Duty(f"sweep_{self.name}", SWEEP_SECONDS, self._round)

    async def _round(self, _: Fence) -> None:
        begun = await self._begin(OVERDUE_SECONDS)
        note_swept(self.name, len(begun))
        if begun:
            _log.info("sweep.worked", table=self.name, rows=len(begun))
            await asyncio.wait(begun, timeout=ROUND_SECONDS)

    async def sweep_once(self, overdue_seconds: float = OVERDUE_SECONDS) -> int:
        """Work on all that is overdue now, to its end; returns on how many rows."""
        begun = await self._begin(overdue_seconds)
        await asyncio.gather(*begun)
        return len(begun)

    def begin(self, row_id: str) -> None:
        """Work on a row that has just come due, as if a round had found it: no wake-up is sent for what is swept."""
        if row_id not in self.busy:
            self._begin_one(row_id)

    async def _begin(self, overdue_seconds: float) -> list[asyncio.Task[None]]:
        async with self.database.reading() as reading:
            row_ids = await self.due(reading, limit=BATCH, overdue_seconds=overdue_seconds)
        return [self._begin_one(row_id) for row_id in row_ids if row_id not in self.busy]

    def _begin_one(self, row_id: str) -> asyncio.Task[None]:
        self.busy[row_id] = task = asyncio.create_task(self._one(row_id))
        task.add_done_callback(lambda _: self.busy.pop(row_id))
        return task

    async def _one(self, row_id: str) -> None:
        async with self.places:
            await self.work(row_id)
