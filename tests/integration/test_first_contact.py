"""A database that is not there yet is waited for, and one that goes while a connection is made counts as away."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from database_servers.postgres_server import PostgresServer, running_postgres
from sqlalchemy import event

from payments_service.errors import StorageUnavailableError
from payments_service.storage.database import open_database
from payments_service.storage.first_contact import await_database


@pytest.fixture
async def url(postgres: PostgresServer) -> AsyncIterator[str]:
    async with postgres.new_database() as url:
        yield url


async def test_a_connection_that_ends_while_it_is_set_up_is_an_outage(url: str) -> None:
    async def end(driver: asyncpg.Connection) -> None:
        other = await asyncpg.connect(url.replace("+asyncpg", ""))
        await other.execute("SELECT pg_terminate_backend($1)", driver.get_server_pid())
        await other.close()

    async with open_database(url) as database:

        def meddle(connection: Any, _: object) -> None:  # noqa: ANN401
            connection.run_async(end)

        event.listen(database.engine.sync_engine, "connect", meddle, insert=True)
        with pytest.raises(StorageUnavailableError):
            async with database.reading():
                pass
        event.remove(database.engine.sync_engine, "connect", meddle)

        await await_database(database, 0)


async def test_a_server_that_comes_later_is_waited_for(postgres: PostgresServer) -> None:
    with running_postgres(postgres.programs) as server:
        server.stop("immediate")
        async with open_database(server.url("postgres")) as database:
            waiting = asyncio.create_task(await_database(database, 30))
            await asyncio.sleep(0.5)
            assert not waiting.done()
            await asyncio.to_thread(server.start)

            await waiting


@pytest.mark.parametrize("seconds", [0.0, 0.5])
async def test_patience_has_an_end(seconds: float) -> None:
    began = time.monotonic()
    async with open_database("postgresql+asyncpg://payments@127.0.0.1:1/payments") as database:
        with pytest.raises(StorageUnavailableError):
            await await_database(database, seconds)

    assert time.monotonic() - began < seconds + 10


async def test_a_database_that_does_not_exist_is_not_waited_for(postgres: PostgresServer) -> None:
    async with open_database(postgres.url("nowhere")) as database, asyncio.timeout(20):
        with pytest.raises(StorageUnavailableError):
            await await_database(database, 60)
