"""PostgreSQL dies under load and comes back: what was acknowledged is there, and processes go on by themselves."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from database_servers.postgres_server import PostgresServer, running_postgres
from event_log.log_scene import Scene, ids, open_scene, read_log, staged
from sqlalchemy import select

from payments_service.actors.duty import Duty
from payments_service.actors.duty_roster import DutyRoster, LeaseTerms
from payments_service.errors import StorageUnavailableError
from payments_service.inbox.receiver import Receiver, open_receiver
from payments_service.storage.lease_rows import Fence
from payments_service.storage.log_listener import LogListener
from payments_service.storage.tables import stripe_events

PATIENCE = 30.0
SENDERS = 6
ORDERS = 4


@pytest.fixture
def server(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """Give a server that a test may let die."""
    with running_postgres(postgres.programs, durable=True) as mortal:
        yield mortal


class Load:
    """Webhooks and transitions, as many as there can be, and which of them were acknowledged."""

    def __init__(self, scene: Scene, receiver: Receiver) -> None:
        self._scene = scene
        self._receiver = receiver
        self._numbers = count(1)
        self.webhooks: set[str] = set()
        self.transitions: set[str] = set()
        self.refused = 0
        self.rounds = 0

    @property
    def done(self) -> int:
        """How much was acknowledged."""
        return min(len(self.webhooks), len(self.transitions))

    async def send_webhooks(self) -> None:
        """Send one after the other, each until it is acknowledged."""
        while True:
            event_id = f"evt_{next(self._numbers)}"
            while not await self._tried(self._receiver.receive(_payload(event_id))):
                continue
            self.webhooks.add(event_id)

    async def make_transitions(self, order: str) -> None:
        """Stage one event after the other; whether one that failed is there is not known, so each is tried once."""
        while True:
            event = staged(next(self._numbers), order=order)
            if await self._tried(self._scene.stage(event)):
                self.transitions.add(event.event_id)

    async def be_at_duty(self, _: Fence) -> None:
        """Count a round."""
        self.rounds += 1

    async def _tried(self, call: Coroutine[Any, Any, object]) -> bool:
        try:
            await call
        except StorageUnavailableError:
            self.refused += 1
            await asyncio.sleep(0.02)
            return False
        return True


def _payload(event_id: str) -> bytes:
    charge = {"id": f"ch_{event_id}", "object": "charge"}
    fields = {"id": event_id, "object": "event", "type": "charge.updated", "created": 1_700_000_000, "livemode": False}
    return json.dumps({**fields, "api_version": "2026-10-28.endive", "data": {"object": charge}}).encode()


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110  # there is no event to wait for
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
        assert not [task for task in tasks if task.done()], "a task of the process ended by itself"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def under_load(url: str) -> AsyncIterator[tuple[Scene, Load]]:
    """Run what a process has, and more work than it can do."""
    async with AsyncExitStack() as stack:
        scene = await stack.enter_async_context(open_scene(url))
        receiver = await stack.enter_async_context(open_receiver(scene.database, lambda: datetime.now(UTC)))
        load = Load(scene, receiver)
        roster = DutyRoster(
            scene.database, [Duty("count", 0.01, load.be_at_duty)], "worker", lambda: 0.5, LeaseTerms(2.0, 0.5, 0.1)
        )
        await stack.enter_async_context(
            running(
                roster.run(),
                LogListener(url, scene.tailer.hint).run(),
                *(load.send_webhooks() for _ in range(SENDERS)),
                *(load.make_transitions(f"ord_{number}") for number in range(ORDERS)),
            )
        )
        yield scene, load


async def crash(server: PostgresServer, load: Load, how: Callable[[], None]) -> None:
    """Let the server die in the midst of work, and come back; wait until all kinds of work are done again."""
    done = load.done
    await until(lambda: load.done > done + 50)
    refused = load.refused
    await asyncio.to_thread(how)
    await until(lambda: load.refused > refused)
    await asyncio.to_thread(server.start)
    done, rounds = load.done, load.rounds
    await until(lambda: load.done > done + 50 and load.rounds > rounds + 10)


@pytest.mark.timeout(120)
async def test_what_was_acknowledged_outlives_crashes_and_everything_goes_on_by_itself(server: PostgresServer) -> None:
    async with server.new_database() as url, under_load(url) as (scene, load):
        reader = await scene.open()
        reading = asyncio.create_task(reader.until_events(sys.maxsize))
        for how in (lambda: server.stop("immediate"), server.kill, lambda: server.stop("immediate")):
            await crash(server, load, how)
        webhooks, transitions = set(load.webhooks), set(load.transitions)

        await until(lambda: transitions <= set(ids(reader.events)))
        streamed = ids(reader.events)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        async with scene.database.reading() as tx:
            stored = set((await tx.execute(select(stripe_events.c.stripe_event_id))).scalars())
            log = ids(await read_log(tx))

    assert webhooks <= stored
    assert transitions <= set(log)
    assert len(log) == len(set(log))
    assert streamed == log[: len(streamed)]
