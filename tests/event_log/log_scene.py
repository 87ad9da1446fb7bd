"""A log on a real database with its sequencer and tailer running, events to stage, and a reader of streams."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import (
    FulfillmentEvent,
    FulfillmentFilter,
    StartPosition,
)
from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import (
    StreamFulfillmentsRequest,
    StreamFulfillmentsResponse,
)
from payments_service.contract.pb.payments.v1.order_pb2 import Order
from payments_service.event_log.fulfillment_stream import FulfillmentStreams
from payments_service.event_log.sequencer import Sequencer
from payments_service.event_log.stream_surroundings import StreamLimits
from payments_service.event_log.tailer import DEFAULT_BOUNDS, Tailer, TailerBounds
from payments_service.scope import EVERYTHING, Caller, Scope
from payments_service.storage.database import Connection, Database, open_database
from payments_service.storage.log_page_rows import read_page
from payments_service.storage.log_rows import OutboxEvent, append_events
from payments_service.storage.schema import migrate

PAYMENT_SUCCEEDED = FulfillmentEvent.TYPE_PAYMENT_SUCCEEDED
FULFILLED = FulfillmentEvent.TYPE_FULFILLED
UNCLAIMED = FulfillmentEvent.TYPE_UNCLAIMED
EARLIEST = StartPosition(earliest=True)
LATEST = StartPosition(latest=True)
LogPlace = Path | str
"""A SQLite file, or the URL of a PostgreSQL database."""


def everyone() -> Caller:
    return Caller("tester", operator=True, scope=EVERYTHING)


def staged(
    number: int,
    *,
    order: str = "ord_1",
    organization: str = "org_1",
    purchase_type: str = "course",
    event_type: FulfillmentEvent.Type.ValueType = PAYMENT_SUCCEEDED,
    padding: int = 0,
) -> OutboxEvent:
    now = datetime.now(UTC)
    message = FulfillmentEvent(
        event_id=f"fev_{number:08}",
        type=event_type,
        organization_id=organization,
        order_id=order,
        order_version=number,
        order=Order(order_id=order, user_id="u" * padding),
    )
    body = message.SerializeToString()
    return OutboxEvent(message.event_id, organization, order, number, purchase_type, event_type, body, now)


@dataclass
class Scene:
    """What a process has: database, tailer, sequencer, streams."""

    database: Database
    tailer: Tailer
    sequencer: Sequencer
    streams: FulfillmentStreams
    made: int = 0

    async def stage(self, *events: OutboxEvent) -> None:
        """Commit events to the outbox and poke the sequencer, as every transition does."""
        async with self.database.transaction() as tx:
            await append_events(tx, list(events))
        self.sequencer.poke()

    async def fill(self, count: int, **kind: Any) -> None:  # noqa: ANN401
        """Put events on the log and wait until the tailer has read them."""
        await self.stage(*(staged(self.made + number, **kind) for number in range(1, count + 1)))
        self.made += count
        await self.settle(self.made)

    async def settle(self, head: int) -> None:
        """Wait until the tailer has read up to a position."""
        while True:
            grown = self.tailer.growth()
            if self.tailer.head >= head:
                return
            await grown.wait()

    async def open(
        self,
        start: StartPosition = EARLIEST,
        caller: Callable[[], Caller] = everyone,
        **request: Any,  # noqa: ANN401
    ) -> "StreamReader":
        """Open a stream."""
        asked = StreamFulfillmentsRequest(start=start, **request)
        return StreamReader(await self.streams.open(asked, caller))


@dataclass
class StreamReader:
    """Decodes what a stream yields and keeps it."""

    stream: AsyncGenerator[bytes, None]
    responses: list[StreamFulfillmentsResponse] = field(default_factory=list)

    async def next(self) -> StreamFulfillmentsResponse:
        """Read one response."""
        response = StreamFulfillmentsResponse.FromString(await anext(self.stream))
        self.responses.append(response)
        return response

    async def until(self, signal: str) -> StreamFulfillmentsResponse:
        """Read on to a signal."""
        while (response := await self.next()).WhichOneof("signal") != signal:
            pass
        return response

    async def until_events(self, count: int) -> None:
        """Read on until so many events have come."""
        while len(self.events) < count:
            await self.next()

    @property
    def events(self) -> list[FulfillmentEvent]:
        """All events so far."""
        return [event for response in self.responses for event in response.events]

    @property
    def signals(self) -> list[str]:
        """The names of all signals so far."""
        return [signal for response in self.responses if (signal := response.WhichOneof("signal"))]

    @property
    def cursor(self) -> bytes:
        """Where to resume."""
        return self.responses[-1].cursor


async def read_log(reading: Connection, after: int = 0) -> list[FulfillmentEvent]:
    """Read all that the log holds after a position."""
    page = await read_page(reading, after, 1_000_000)
    return list(StreamFulfillmentsResponse.FromString(page.frames).events)


def ids(events: Sequence[FulfillmentEvent]) -> list[str]:
    return [event.event_id for event in events]


def at(cursor: bytes) -> StartPosition:
    return StartPosition(cursor=cursor)


def scope_of(*organizations: str) -> Scope:
    return Scope(frozenset(organizations), None)


def only(*types: FulfillmentEvent.Type.ValueType) -> FulfillmentFilter:
    return FulfillmentFilter(types=types)


async def logged(lines: Sequence[Mapping[str, Any]], event: str) -> None:
    """Wait for a log line that starts with this event's name."""
    while not any(line["event"].startswith(event) for line in lines):  # noqa: ASYNC110  # lines are a plain list
        await asyncio.sleep(0.005)


async def make_log(path: Path) -> None:
    """Make an empty log at a path, whole in its one file, to be copied."""
    async with open_database(f"sqlite+aiosqlite:///{path}") as database:
        await migrate(database)
    sqlite3.connect(path).close()


@asynccontextmanager
async def open_scene(
    place: LogPlace,
    *,
    limits: StreamLimits | None = None,
    bounds: TailerBounds = DEFAULT_BOUNDS,
    sequencers: int = 1,
) -> AsyncIterator[Scene]:
    """Run the log of a database as a process does."""
    url = place if isinstance(place, str) else f"sqlite+aiosqlite:///{place}"
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(url))
        tailer = Tailer(database, bounds)
        head = await tailer.open()
        sequencer = Sequencer(database, tailer.hint)
        streams = FulfillmentStreams(database, tailer, lambda: datetime.now(UTC), limits=limits)
        await stack.enter_async_context(running(tailer.run()))
        for _ in range(sequencers - 1):
            await stack.enter_async_context(running(Sequencer(database, tailer.hint).run()))
        await stack.enter_async_context(running(sequencer.run()))
        yield Scene(database, tailer, sequencer, streams, made=head.position)


@asynccontextmanager
async def running(work: Any) -> AsyncIterator[None]:  # noqa: ANN401
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
