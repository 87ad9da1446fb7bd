"""Transactions on a real database: what is committed is durable, what fails leaves nothing."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select

from payments_service.storage.column_types import database_now, database_now_plus
from payments_service.storage.database import Database, open_database
from payments_service.storage.tables import metadata, timeline


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url) as database:
        async with database.transaction() as transaction:
            await transaction.run_sync(metadata.create_all)
        yield database


async def add_line(database: Database) -> None:
    async with database.transaction() as transaction:
        line = {"order_id": "ord_1", "time": datetime.now(UTC), "stage": "rpc", "summary": "created"}
        await transaction.execute(timeline.insert(), line)


async def count_lines(database: Database) -> int:
    async with database.reading() as reading:
        return (await reading.execute(select(func.count()).select_from(timeline))).scalar_one()


async def test_an_acknowledged_commit_survives_power_loss_by_sqlites_settings(tmp_path: Path) -> None:
    async with (
        open_database(f"sqlite+aiosqlite:///{tmp_path}/payments.db") as database,
        database.transaction() as transaction,
    ):
        journal = (await transaction.exec_driver_sql("PRAGMA journal_mode")).scalar_one()
        synchronous = (await transaction.exec_driver_sql("PRAGMA synchronous")).scalar_one()

    assert (journal, synchronous) == ("wal", 2)


async def test_a_transaction_that_raises_leaves_nothing(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as transaction:
            line = {"order_id": "ord_1", "time": datetime.now(UTC), "stage": "rpc", "summary": "x"}
            await transaction.execute(timeline.insert(), line)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        await fail()

    assert await count_lines(database) == 0


async def test_concurrent_writers_take_turns(database: Database) -> None:
    await asyncio.gather(*(add_line(database) for _ in range(50)))

    assert await count_lines(database) == 50


async def test_the_databases_clock_measures_leases(database: Database) -> None:
    async with database.reading() as reading:
        now, later = (await reading.execute(select(database_now(), database_now_plus(30)))).one()

    assert (later - now).total_seconds() == 30
    assert abs((datetime.now(UTC) - now).total_seconds()) < 5
