"""One visit to SQLite's thread a statement: transactions stay whole, and the loop goes on meanwhile."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from payments_service.errors import StorageUnavailableError
from payments_service.storage.database import Connection, Database, open_database

LONG = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000) SELECT count(*) FROM n"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(f"sqlite+aiosqlite:///{tmp_path}/payments.db") as database:
        async with database.transaction() as tx:
            await tx.exec_driver_sql("CREATE TABLE things (name TEXT UNIQUE)")
        yield database


async def add(tx: Connection, name: str, otherwise: str = "ABORT") -> None:
    await tx.exec_driver_sql(f"INSERT OR {otherwise} INTO things VALUES (?)", (name,))  # noqa: S608  # our own words


async def names(database: Database) -> list[str]:
    async with database.reading() as reading:
        return list((await reading.exec_driver_sql("SELECT name FROM things")).scalars())


async def test_what_comes_after_sqlite_undid_a_transaction_is_not_committed_alone(database: Database) -> None:
    async def go_on_after_an_error() -> None:
        async with database.transaction() as tx:
            await add(tx, "first")
            with pytest.raises(Exception, match="UNIQUE"):
                await add(tx, "first", otherwise="ROLLBACK")
            await add(tx, "second")

    with pytest.raises(StorageUnavailableError):
        await go_on_after_an_error()

    assert await names(database) == []


async def test_a_statement_that_fails_alone_undoes_only_itself(database: Database) -> None:
    async with database.transaction() as tx:
        await add(tx, "first")
        with pytest.raises(Exception, match="UNIQUE"):
            await add(tx, "first")
        await add(tx, "second")

    assert await names(database) == ["first", "second"]


async def test_a_writer_holds_the_lock_from_its_first_statement_though_that_only_reads(database: Database) -> None:
    with closing(sqlite3.connect(str(database.engine.url.database), timeout=0)) as other:
        async with database.transaction() as tx:
            await tx.exec_driver_sql("SELECT * FROM things")
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("INSERT INTO things VALUES ('meanwhile')")


async def test_a_reader_sees_one_snapshot(database: Database) -> None:
    async with database.reading() as reading:
        before = (await reading.exec_driver_sql("SELECT count(*) FROM things")).scalar_one()
        async with database.transaction() as tx:
            await add(tx, "meanwhile")
        after = (await reading.exec_driver_sql("SELECT count(*) FROM things")).scalar_one()

    assert (before, after) == (0, 0)
    assert await names(database) == ["meanwhile"]


async def test_a_long_statement_does_not_hold_up_the_loop(database: Database) -> None:
    async def count() -> int:
        async with database.reading() as reading:
            return int((await reading.exec_driver_sql(LONG)).scalar_one())

    await names(database)  # the connection is open from here on
    counting, turns = asyncio.create_task(count()), 0
    while not counting.done():
        await asyncio.sleep(0)
        turns += 1

    assert await counting == 2_000_000
    assert turns > 100
