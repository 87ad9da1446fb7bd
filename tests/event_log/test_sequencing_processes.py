"""Sequencing by several processes on PostgreSQL, some of which are killed; and what a simpler reader would lose."""

import asyncio
import random
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from database_servers.postgres_server import PostgresServer
from sqlalchemy import select

from payments_service.event_log.sequencer import Sequencer
from payments_service.scope import EVERYTHING
from payments_service.storage.database import Database, open_database
from payments_service.storage.log_rows import append_events
from payments_service.storage.order_rows import find_order, insert_order
from payments_service.storage.tables import event_log, event_outbox

from .log_child import ORDERS, move
from .log_scene import ids, read_log, staged

PATIENCE = 20.0
KILLS = 6
TESTS = Path(__file__).parents[1]


@pytest.fixture
async def url(postgres: PostgresServer) -> AsyncIterator[str]:
    async with postgres.new_database() as url:
        yield url


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with open_database(url) as opened:
        await make_orders(opened)
        yield opened


async def make_orders(database: Database) -> None:
    now = datetime.now(UTC)
    values = {
        "organization_id": "org_1",
        "user_id": "user_1",
        "created_by": "shop",
        "request_digest": b"",
        "purchase_type": "course",
        "purchase": b"",
        "mode": 1,
        "livemode": False,
        "stripe_parameters": {},
        "facts": {},
        "payment_state": 2,
        "create_time": now,
        "update_time": now,
    }
    async with database.transaction() as tx:
        for order_id in ORDERS:
            await insert_order(tx, {**values, "order_id": order_id, "request_id": order_id})


async def read_versions(database: Database) -> dict[str, list[int]]:
    """Read the log; its positions have no gap."""
    columns = (event_log.c.position, event_log.c.ordering_key, event_log.c.order_version)
    versions = defaultdict(list)
    async with database.reading() as reading:
        rows = (await reading.execute(select(*columns).order_by(event_log.c.position))).all()
    assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
    for _, order_id, version in rows:
        versions[order_id].append(version)
    return versions


@asynccontextmanager
async def child(url: str, what: str) -> AsyncIterator[asyncio.subprocess.Process]:
    command = (sys.executable, "-m", "event_log.log_child", url, what)
    process = await asyncio.create_subprocess_exec(*command, cwd=TESTS, stdout=asyncio.subprocess.PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def told_until_killed(url: str, lines: int) -> dict[str, int]:
    """Let a process work for so many lines and kill it; returns which version of each order it has committed."""
    told: dict[str, int] = {}
    async with child(url, "work") as process, asyncio.timeout(PATIENCE):
        assert process.stdout is not None
        for _ in range(lines):
            line = (await process.stdout.readline()).decode().split()
            told[line[0]] = int(line[1])
        process.kill()
        rest, _ = await process.communicate()
    told |= {line.split()[0]: int(line.split()[1]) for line in rest.decode().splitlines() if len(line.split()) == 2}
    return told


async def test_processes_that_are_killed_anywhere_lose_nothing_and_leave_no_gap(database: Database, url: str) -> None:
    chance = random.Random(7)  # noqa: S311

    async def live(lives: int) -> dict[str, int]:
        told: dict[str, int] = {}
        for _ in range(lives):
            told |= await told_until_killed(url, chance.randrange(10, 60))
        return told

    told = await asyncio.gather(live(KILLS // 2), live(KILLS // 2))
    await Sequencer(database, lambda: None).drain()

    versions = await read_versions(database)
    for order_id in ORDERS:
        async with database.reading() as reading:
            order = await find_order(reading, order_id, EVERYTHING)
        assert order is not None
        assert versions[order_id] == list(range(1, order.version + 1))
        assert max(one.get(order_id, 0) for one in told) <= order.version


async def test_an_order_that_processes_move_in_turn_keeps_its_order_however_late_it_is_sequenced(
    database: Database, url: str
) -> None:
    async with open_database(url, pool_size=1) as one, open_database(url, pool_size=1) as other:
        for process in (one, other, one, other):
            await process.run(lambda tx: move(tx, "ord_1"))
    await Sequencer(database, lambda: None).drain()

    assert await read_versions(database) == {"ord_1": [1, 2, 3, 4]}


async def test_a_sequencer_that_is_killed_before_its_commit_holds_nobody_up_and_leaves_no_gap(
    database: Database, url: str
) -> None:
    for _ in range(3):
        await database.run(lambda tx: move(tx, "ord_1"))
    async with child(url, "hold") as process, asyncio.timeout(PATIENCE):
        assert process.stdout is not None
        assert await process.stdout.readline() == b"held\n"
        waiting = asyncio.create_task(Sequencer(database, lambda: None).drain())
        process.kill()
        await waiting

    assert await read_versions(database) == {"ord_1": [1, 2, 3]}


async def test_an_event_that_commits_late_is_read_all_the_same_which_a_reader_by_id_would_lose(
    database: Database,
) -> None:
    async def read_by_id(after: int) -> list[tuple[int, str]]:
        statement = select(event_outbox.c.id, event_outbox.c.event_id).where(event_outbox.c.id > after)
        async with database.reading() as reading:
            return [(row[0], row[1]) for row in await reading.execute(statement.order_by(event_outbox.c.id))]

    sequencer = Sequencer(database, lambda: None)
    async with database.transaction() as late:
        await append_events(late, [staged(1, order="ord_1")])
        async with database.transaction() as tx:
            await append_events(tx, [staged(2, order="ord_2")])
        by_id = await read_by_id(0)
        await sequencer.drain()
    by_id += await read_by_id(by_id[-1][0])
    await sequencer.drain()
    async with database.reading() as reading:
        log = ids(await read_log(reading))

    assert [event_id for _, event_id in by_id] == ["fev_00000002"]
    assert log == ["fev_00000002", "fev_00000001"]
