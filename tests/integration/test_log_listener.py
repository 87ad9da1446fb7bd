"""Word of the log's growth from other processes: at once by a notification, and without one by the poll."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from database_servers.postgres_server import PostgresServer

from payments_service.event_log.sequencer import Sequencer
from payments_service.event_log.tailer import Tailer
from payments_service.storage.database import Database, open_database
from payments_service.storage.log_listener import LogListener
from payments_service.storage.log_rows import OutboxEvent, append_events

PATIENCE = 10.0


@pytest.fixture
async def url(postgres: PostgresServer) -> AsyncIterator[str]:
    async with postgres.new_database() as url:
        yield url


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with open_database(url) as opened:
        yield opened


@asynccontextmanager
async def running(work: Any) -> AsyncIterator[None]:  # noqa: ANN401
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class Heard:
    """Counts what was heard."""

    def __init__(self) -> None:
        self.times = 0
        self._heard = asyncio.Event()

    def hear(self) -> None:
        """Count it."""
        self.times += 1
        self._heard.set()

    async def more_than(self, times: int) -> None:
        """Wait until it was heard more often than that."""
        async with asyncio.timeout(PATIENCE):
            while self.times <= times:
                self._heard.clear()
                await self._heard.wait()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110  # there is no event to wait for
            await asyncio.sleep(0.01)


async def stage(database: Database, number: int) -> None:
    event = OutboxEvent(f"fev_{number}", "org_1", "ord_1", number, "course", 1, b"body", datetime.now(UTC))
    async with database.transaction() as tx:
        await append_events(tx, [event])


async def test_a_batch_of_another_process_is_heard_once_and_its_writers_never(database: Database, url: str) -> None:
    heard = Heard()
    async with running(LogListener(url, heard.hear).run()):
        await heard.more_than(0)
        for number in range(20):
            await stage(database, number)
        await Sequencer(database, lambda: None).drain()
        await heard.more_than(1)
        await stage(database, 20)
        await Sequencer(database, lambda: None).drain()
        await heard.more_than(2)

    assert heard.times == 3


async def test_a_listener_whose_connection_dies_listens_again_and_looks_at_once(
    database: Database, url: str, postgres: PostgresServer
) -> None:
    heard = Heard()
    listener = LogListener(url, heard.hear)
    async with running(listener.run()):
        await heard.more_than(0)
        await postgres.terminate(url, "payments listen")
        await heard.more_than(1)
        await until(lambda: listener.listening)
        await stage(database, 1)
        await Sequencer(database, lambda: None).drain()
        await heard.more_than(2)

    assert not listener.listening


async def test_a_tailer_reads_what_another_process_sequenced_long_before_its_poll(database: Database, url: str) -> None:
    tailer = Tailer(database)
    await tailer.open()
    listener = LogListener(url, tailer.hint)
    async with running(tailer.run()), running(listener.run()), open_database(url) as other:
        await until(lambda: listener.listening)
        began = asyncio.get_running_loop().time()
        for number in range(1, 11):
            grown = tailer.growth()
            await stage(other, number)
            await Sequencer(other, lambda: None).drain()
            async with asyncio.timeout(PATIENCE):
                await grown.wait()
        took = asyncio.get_running_loop().time() - began

    assert tailer.head == 10
    assert took < 2.0, "ten polls take five seconds"


async def test_without_any_notification_the_poll_finds_what_was_sequenced(database: Database, url: str) -> None:
    tailer = Tailer(database)
    await tailer.open()
    async with running(tailer.run()), open_database(url) as other:
        await stage(other, 1)
        await Sequencer(other, lambda: None).drain()
        await until(lambda: tailer.head == 1)
