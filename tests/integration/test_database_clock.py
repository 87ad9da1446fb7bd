"""What is decided by the time goes by the database's clock, whatever happens to the host's."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import structlog
from database_servers.postgres_server import PostgresServer

from payments_service.errors import StorageUnavailableError
from payments_service.storage.database import Database, open_database
from payments_service.storage.database_clock import DatabaseClock

A_DAY = timedelta(days=1)
BUSY = timedelta(seconds=5)
"""What a machine that has other things to do may put between two looks at a clock."""


class Host:
    """A host's clocks: the one that is set by hand, and the one that only counts."""

    def __init__(self) -> None:
        self.off = timedelta()
        self.counted = 0.0

    def now(self) -> datetime:
        """Give the time that may be wrong."""
        return datetime.now(UTC) + self.off

    def monotonic(self) -> float:
        """Give the seconds that have passed."""
        return self.counted


@pytest.fixture
async def database(postgres: PostgresServer) -> AsyncIterator[Database]:
    async with postgres.new_database() as url, open_database(url) as opened:
        yield opened


@pytest.mark.parametrize("off", [-A_DAY, timedelta(), A_DAY])
async def test_it_is_right_on_a_host_that_is_wrong_and_stays_so_when_the_host_jumps(
    database: Database, off: timedelta
) -> None:
    host = Host()
    host.off = off
    clock = DatabaseClock(database, host.now, host.monotonic)
    await clock.set()
    first = clock()
    host.off += A_DAY
    host.counted += 60.0

    assert abs(first - datetime.now(UTC)) < BUSY
    assert clock() - first == timedelta(seconds=60)


async def test_a_host_that_is_wrong_is_told_once_and_when_it_is_right_again(database: Database) -> None:
    host = Host()
    clock = DatabaseClock(database, host.now)
    with structlog.testing.capture_logs() as log:
        for host.off in (timedelta(), A_DAY, A_DAY, timedelta()):
            await clock.set()

    assert [line["event"] for line in log] == ["clock.differs_from_the_database"] * 2
    assert [abs(line["ahead_seconds"]) // 3600 for line in log] == [24, 0]


async def test_it_counts_on_while_the_database_is_away(postgres: PostgresServer) -> None:
    host = Host()
    async with postgres.new_database() as url:
        there, nowhere = url, url.replace(url.rpartition("/")[2], "nowhere")
        async with open_database(there) as database, open_database(nowhere) as away:
            clock = DatabaseClock(database, host.now, host.monotonic)
            await clock.set()
            known = clock()
            lost = DatabaseClock(away, host.now, host.monotonic)
            with pytest.raises(StorageUnavailableError):
                await lost.set()
            running = asyncio.create_task(clock.run())
            host.counted += 5.0

            assert clock() - known == timedelta(seconds=5)
            running.cancel()
