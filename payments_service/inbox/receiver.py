"""Stores what Stripe sends, many events in one commit, and answers each only after its commit; it works on none.

While one batch commits the next one gathers: at a hundred concurrent webhooks that is a few commits, not a hundred.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import structlog

from payments_service.errors import StorageUnavailableError
from payments_service.inbox.event_envelope import read_event
from payments_service.observability.call_metrics import note_batch, note_redelivery
from payments_service.orders.states import StripeEventState
from payments_service.storage.database import Database
from payments_service.storage.receipt_rows import (
    NewStripeEvent,
    RowsRefusedError,
    StoredReceipt,
    probe_receipts,
    store_receipts,
)

Clock = Callable[[], datetime]
BATCH_EVENTS = 256
BATCH_BYTES = 4 * 1024 * 1024
WAITING_BYTES = 64 * 1024 * 1024
"""What may wait while the database is slow; beyond it Stripe is told to come again."""
PATIENCE_SECONDS = 5.0
_WORKABLE = frozenset({StripeEventState.PENDING, StripeEventState.DEFERRED})
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one delivery."""

    stripe_event_id: str
    pending: bool
    """Whether the event is still to be worked on: wake it."""
    deliveries: int
    """How often it came, this one included."""
    type: str


@dataclass(frozen=True, slots=True)
class _Waiting:
    event: NewStripeEvent
    stored: asyncio.Future[StoredReceipt]

    @property
    def size(self) -> int:
        return len(self.event.payload)


class Receiver:
    """Group commit: concurrent calls of `receive` share a transaction; `run` is the one task that commits."""

    def __init__(self, database: Database, clock: Clock, patience: float = PATIENCE_SECONDS) -> None:
        """Take how many seconds the database gets for one batch."""
        self._database = database
        self._clock = clock
        self._patience = patience
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._stirred = asyncio.Event()
        self._closing = False

    async def receive(self, payload: bytes) -> Receipt:
        """Store a verified body; raises InvalidEventError, and StorageUnavailableError where it may not be stored.

        Cancelling it gives up the answer and not the event: its batch is committed for all.
        """
        waiting = _Waiting(read_event(payload, self._clock()), asyncio.get_running_loop().create_future())
        self._admit(waiting)
        stored = await waiting.stored
        if stored.deliveries > 1:
            note_redelivery()
        return Receipt(
            stripe_event_id=stored.stripe_event_id,
            pending=stored.state in _WORKABLE,
            deliveries=stored.deliveries,
            type=waiting.event.type,
        )

    async def probe(self) -> None:
        """Find out whether an event could be stored now; raises StorageUnavailableError, or takes its time."""
        async with self._database.transaction() as tx:
            await probe_receipts(tx)

    async def run(self) -> None:
        """Commit batches as they come, until closed."""
        while not self._closing or self._waiting:
            await self._stirred.wait()
            if batch := self._next_batch():
                await self._commit(batch)

    def close(self) -> None:
        """Take nothing more; `run` ends when what waits is stored."""
        self._closing = True
        self._stirred.set()

    def _admit(self, waiting: _Waiting) -> None:
        if self._closing:
            raise StorageUnavailableError("This process is about to stop; send it again.")
        if self._waiting_bytes > WAITING_BYTES:
            raise StorageUnavailableError("Too many events wait to be stored; send it again.")
        self._waiting.append(waiting)
        self._waiting_bytes += waiting.size
        self._stirred.set()

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        room = BATCH_BYTES
        while self._waiting and len(batch) < BATCH_EVENTS and (self._waiting[0].size <= room or not batch):
            batch.append(self._waiting.popleft())
            room -= batch[-1].size
        self._waiting_bytes -= BATCH_BYTES - room
        if not (self._waiting or self._closing):
            self._stirred.clear()
        return batch

    async def _commit(self, batch: Sequence[_Waiting]) -> None:
        """Store a batch; where the database is away or late, all who wait are told so and nobody waits for it."""
        alarm = asyncio.get_running_loop().call_later(self._patience, self._give_up, batch, "does not answer in time")
        try:
            async with asyncio.timeout(self._patience):
                await self._store(batch)
        except TimeoutError:
            # Undoing it may have taken long, and more may have come meanwhile.
            self._give_up(batch, "does not answer in time")
        except StorageUnavailableError:
            self._give_up(batch, "cannot be reached")
        except Exception:
            _log.exception("inbox.storing_failed", events=len(batch))
            self._give_up(batch, "failed")
        finally:
            alarm.cancel()

    async def _store(self, batch: Sequence[_Waiting]) -> None:
        try:
            stored = await store_receipts(self._database, (waiting.event for waiting in batch))
        except RowsRefusedError as error:
            await self._store_apart(batch, error)
            return
        note_batch(len(batch))
        for waiting in batch:
            if not waiting.stored.done():
                waiting.stored.set_result(stored[waiting.event.stripe_event_id])

    async def _store_apart(self, batch: Sequence[_Waiting], error: RowsRefusedError) -> None:
        """Halve a batch with a row that the database does not take, until that row stands alone."""
        if len(batch) == 1:
            event = batch[0].event
            _log.error("inbox.event_refused", stripe_event_id=event.stripe_event_id, type=event.type, **error.metadata)
            _refuse(batch, "The database refused this event; the log says which error it gave.")
            return
        middle = len(batch) // 2
        await self._store(batch[:middle])
        await self._store(batch[middle:])

    def _give_up(self, batch: Sequence[_Waiting], why: str) -> None:
        _refuse([*batch, *self._waiting], f"The database {why}; send it again.")
        self._waiting.clear()
        self._waiting_bytes = 0


def _refuse(waiting: Iterable[_Waiting], message: str) -> None:
    for one in waiting:
        if not one.stored.done():
            event = one.event
            error = StorageUnavailableError(message, stripe_event_id=event.stripe_event_id, type=event.type)
            one.stored.set_exception(error)


@asynccontextmanager
async def open_receiver(
    database: Database, clock: Clock, patience: float = PATIENCE_SECONDS
) -> AsyncIterator[Receiver]:
    """Receive until the context ends; what waits then is stored first."""
    receiver = Receiver(database, clock, patience)
    running = asyncio.create_task(receiver.run())
    try:
        yield receiver
    finally:
        receiver.close()
        await running
