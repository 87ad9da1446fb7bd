"""PostgreSQL under contention: who meets a deadlock goes on, who may not wait is told so, and wrong is not away."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from database_servers.postgres_server import PostgresServer
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import DBAPIError

from payments_service.errors import StorageUnavailableError
from payments_service.event_log.sequencer import Sequencer
from payments_service.inbox.receiver import open_receiver
from payments_service.storage.database import Connection, Database, open_database
from payments_service.storage.log_rows import OutboxEvent, append_events, read_head
from payments_service.storage.tables import event_log_head, stripe_events, timeline

PATIENCE = 15.0


@pytest.fixture
async def url(postgres: PostgresServer) -> AsyncIterator[str]:
    async with postgres.new_database() as url:
        yield url


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with open_database(url) as opened:
        yield opened


def now() -> datetime:
    return datetime.now(UTC)


def payload(event_id: str) -> bytes:
    text = (
        f'{{"id": "{event_id}", "object": "event", "type": "charge.updated", "created": 1700000000,'
        f' "livemode": false, "api_version": "2026", "data": {{"object": {{"id": "ch_1", "object": "charge"}}}}}}'
    )
    return text.encode()


async def lock(tx: Connection, event_id: str) -> None:
    statement = update(stripe_events).where(stripe_events.c.stripe_event_id == event_id)
    await tx.execute(statement.values(attempts=stripe_events.c.attempts + 1))


async def attempts(database: Database) -> dict[str, int]:
    async with database.reading() as reading:
        rows = await reading.execute(select(stripe_events.c.stripe_event_id, stripe_events.c.attempts))
        return {row[0]: row[1] for row in rows}


async def test_two_that_lock_in_opposite_order_are_both_done(database: Database) -> None:
    async with open_receiver(database, now) as receiver:
        await asyncio.gather(*(receiver.receive(payload(event_id)) for event_id in ("evt_1", "evt_2")))
    both_hold_one = asyncio.Barrier(2)
    tries = 0

    async def work(tx: Connection, first: str, second: str) -> None:
        nonlocal tries
        tries += 1
        await lock(tx, first)
        if tries <= 2:
            await both_hold_one.wait()
        await lock(tx, second)

    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(
            database.run(lambda tx: work(tx, "evt_1", "evt_2")), database.run(lambda tx: work(tx, "evt_2", "evt_1"))
        )

    assert tries >= 3
    assert await attempts(database) == {"evt_1": 2, "evt_2": 2}


async def test_webhooks_that_meet_a_deadlock_are_stored_all_the_same(database: Database) -> None:
    event_ids = ("evt_1", "evt_2")
    async with open_receiver(database, now, patience=PATIENCE) as receiver, asyncio.timeout(PATIENCE):
        await asyncio.gather(*(receiver.receive(payload(event_id)) for event_id in event_ids))

        async def hold_the_second_and_want_the_first(tx: Connection) -> None:
            await lock(tx, "evt_2")
            receiving.extend(asyncio.create_task(receiver.receive(payload(event_id))) for event_id in event_ids)
            await blocked_by(tx, database)
            await lock(tx, "evt_1")

        receiving: list[asyncio.Task[Any]] = []
        await database.run(hold_the_second_and_want_the_first)
        receipts = await asyncio.gather(*receiving)

    assert [receipt.pending for receipt in receipts] == [True] * len(receipts)


async def blocked_by(tx: Connection, database: Database) -> None:
    """Wait until somebody waits for a lock that this transaction has."""
    pid = (await tx.execute(text("SELECT pg_backend_pid()"))).scalar_one()
    statement = text("SELECT count(*) FROM pg_stat_activity WHERE :pid = ANY(pg_blocking_pids(pid))")
    waiting = 0
    while not waiting:
        async with database.reading() as reading:
            waiting = (await reading.execute(statement, {"pid": pid})).scalar_one()


async def test_two_bridges_that_store_the_same_events_in_opposite_order_do_not_fail(url: str) -> None:
    event_ids = [f"evt_{number}" for number in range(40)]
    async with (
        open_database(url) as one,
        open_database(url) as other,
        open_receiver(one, now) as receiver,
        open_receiver(other, now) as second,
        asyncio.timeout(PATIENCE),
    ):
        for _ in range(9):
            await asyncio.gather(
                *(receiver.receive(payload(event_id)) for event_id in event_ids),
                *(second.receive(payload(event_id)) for event_id in reversed(event_ids)),
            )
        receipts = await asyncio.gather(
            *(receiver.receive(payload(event_id)) for event_id in event_ids),
            *(second.receive(payload(event_id)) for event_id in reversed(event_ids)),
        )
        deliveries = [receipt.deliveries for receipt in receipts]
        async with one.reading() as reading:
            stored = list((await reading.execute(select(stripe_events.c.deliveries))).scalars())

    assert max(deliveries) == 20
    assert stored == [20] * 40


async def test_an_old_snapshot_that_stays_open_does_not_hold_up_the_log(database: Database) -> None:
    async with database.reading() as old:
        before = await read_head(old)
        event = OutboxEvent("fev_1", "org_1", "ord_1", 1, "course", 1, b"body", now())
        async with database.transaction() as tx:
            await append_events(tx, [event])
        await Sequencer(database, lambda: None).drain()
        async with database.reading() as reading:
            after = await read_head(reading)
        assert await read_head(old) == before

    assert (before.position, after.position) == (0, 1)


async def test_what_reads_cannot_write(database: Database) -> None:
    with pytest.raises(DBAPIError, match="read-only transaction"):
        async with database.reading() as reading:
            await reading.execute(update(event_log_head).values(position=7))

    async with database.reading() as reading:
        assert (await read_head(reading)).position == 0


async def test_connections_to_a_server_that_takes_no_writes_any_more_are_given_up(database: Database) -> None:
    async def backend(tx: Connection) -> int:
        pid: int = (await tx.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        return pid

    async def write_where_none_may(tx: Connection) -> None:
        pids.append(await backend(tx))
        await tx.execute(text("SET TRANSACTION READ ONLY"))
        await tx.execute(update(event_log_head).values(position=7))

    pids: list[int] = []
    with pytest.raises(StorageUnavailableError, match="ReadOnlySQLTransactionError"):
        await database.run(write_where_none_may)
    pids.append(await database.run(backend))

    assert pids[0] != pids[1]


async def test_a_wrong_value_is_an_error_and_not_an_outage(database: Database) -> None:
    line = {"order_id": "o" * 65, "time": now(), "stage": "rpc", "summary": "x"}
    with pytest.raises(DBAPIError, match="too long"):
        async with database.transaction() as tx:
            await tx.execute(insert(timeline).values(line))
    with pytest.raises(DBAPIError, match="out of int16"):
        async with database.transaction() as tx:
            await tx.execute(update(stripe_events).values(state=70_000))


async def test_an_error_does_not_quote_what_it_was_given(database: Database) -> None:
    line = {"order_id": "o" * 65, "time": now(), "stage": "rpc", "summary": "someone@example.org"}
    with pytest.raises(DBAPIError) as raised:
        async with database.transaction() as tx:
            await tx.execute(insert(timeline).values(line))

    assert "someone@example.org" not in str(raised.value)


async def test_a_statement_that_takes_too_long_is_an_outage(database: Database) -> None:
    async def take_long() -> None:
        async with database.transaction() as tx:
            await tx.execute(text("SET LOCAL statement_timeout = '50ms'"))
            await tx.execute(text("SELECT pg_sleep(5)"))

    with pytest.raises(StorageUnavailableError, match="QueryCanceledError"):
        await take_long()


async def test_a_transaction_that_lies_idle_is_ended_and_the_next_one_works(database: Database) -> None:
    async def lie_idle() -> None:
        async with database.transaction() as tx:
            await tx.execute(text("SET LOCAL idle_in_transaction_session_timeout = '50ms'"))
            await asyncio.sleep(0.3)
            await tx.execute(text("SELECT 1"))

    with pytest.raises(StorageUnavailableError):
        await lie_idle()

    async with database.reading() as reading:
        assert (await reading.execute(text("SELECT 1"))).scalar_one() == 1


async def test_each_connection_says_what_the_guarantees_need(database: Database) -> None:
    wanted = {
        "synchronous_commit": "on",
        "transaction_isolation": "read committed",
        "statement_timeout": "15s",
        "idle_in_transaction_session_timeout": "15s",
        "transaction_timeout": "30s",
    }
    async with database.transaction() as tx:
        version = int((await tx.execute(text("SHOW server_version_num"))).scalar_one())
        if version < 170_000:
            wanted.pop("transaction_timeout")
        said = {name: (await tx.execute(text(f"SHOW {name}"))).scalar_one() for name in wanted}

    assert said == wanted


async def test_a_database_that_is_not_there_or_refuses_the_login_is_away(postgres: PostgresServer) -> None:
    for wrong in (postgres.url("nowhere"), "postgresql+asyncpg://payments@127.0.0.1:1/payments"):
        async with open_database(wrong) as database:
            with pytest.raises(StorageUnavailableError):
                async with database.reading():
                    pass


async def test_the_outbox_is_numbered_one_by_one_and_cleared_by_count(database: Database) -> None:
    statement = text(
        "SELECT seqcache, reloptions FROM pg_sequence, pg_class"
        " WHERE seqrelid = pg_get_serial_sequence('event_outbox', 'id')::regclass AND relname = 'event_outbox'"
    )
    async with database.reading() as reading:
        cache, options = (await reading.execute(statement)).one()

    assert cache == 1
    assert "autovacuum_vacuum_threshold=2000" in options
