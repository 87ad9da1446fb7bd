"""A transaction that is cancelled at any moment lets the next one begin at once."""

import asyncio
import random
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import func, insert, select

from payments_service.storage.database import Database, open_database
from payments_service.storage.tables import metadata, timeline


async def add_lines(database: Database) -> None:
    async with database.transaction() as tx:
        line = {"order_id": "ord_1", "time": datetime.now(UTC), "stage": "rpc", "summary": "created"}
        for _ in range(3):
            (await tx.execute(insert(timeline).values(line).returning(*timeline.c))).one()


async def count_lines(database: Database) -> int:
    async with database.reading() as reading:
        return (await reading.execute(select(func.count()).select_from(timeline))).scalar_one()


async def test_a_cancelled_transaction_keeps_no_lock_and_leaves_all_or_nothing(tmp_path: Path) -> None:
    chance = random.Random(3)  # noqa: S311  # which moments, not a secret
    # The calls are kept as a server keeps them for a while: what they were about is not freed.
    calls: list[asyncio.Task[None]] = []
    async with open_database(f"sqlite+aiosqlite:///{tmp_path}/payments.db") as database:
        async with database.transaction() as tx:
            await tx.run_sync(metadata.create_all)
        for _ in range(60):
            calls.append(asyncio.create_task(add_lines(database)))
            await asyncio.wait(calls[-1:], timeout=chance.uniform(0.0, 0.003))
            calls[-1].cancel()
            await asyncio.wait(calls[-1:])

        async with asyncio.timeout(3.0):
            await add_lines(database)

        assert await count_lines(database) % 3 == 0
