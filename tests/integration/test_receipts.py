"""Receiving on both databases: one row an event, each delivery counted, due at once by the database's own clock."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from payments_service.errors import StorageUnavailableError
from payments_service.inbox.event_envelope import read_event
from payments_service.inbox.receiver import Receipt, open_receiver
from payments_service.orders.states import StripeEventState
from payments_service.storage.database import Database, open_database
from payments_service.storage.inbox_rows import claim_event, find_event
from payments_service.storage.receipt_rows import NewStripeEvent, RowsRefusedError, StoredReceipt, store_receipts
from payments_service.storage.schema import migrate

PENDING = StripeEventState.PENDING


def now() -> datetime:
    return datetime.now(UTC)


def payload_of(stripe_event_id: str) -> bytes:
    stripe_object = {"id": "re_1", "object": "refund", "payment_intent": "pi_1", "charge": "ch_1"}
    body = {
        "id": stripe_event_id,
        "object": "event",
        "created": 1_790_000_000,
        "data": {"object": stripe_object},
        "livemode": False,
        "type": "refund.created",
    }
    return json.dumps(body).encode()


def event(stripe_event_id: str) -> NewStripeEvent:
    return read_event(payload_of(stripe_event_id), now())


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url) as opened:
        await migrate(opened)
        yield opened


async def count_rows(database: Database) -> int:
    async with database.reading() as reading:
        return int((await reading.execute(text("SELECT count(*) FROM stripe_events"))).scalar_one())


async def test_what_is_stored_is_what_was_read(database: Database) -> None:
    received = event("evt_1")

    stored = await store_receipts(database, [received])

    async with database.reading() as reading:
        row = await find_event(reading, "evt_1")
    assert stored == {"evt_1": StoredReceipt("evt_1", PENDING, 1)}
    assert row is not None
    for name in NewStripeEvent.__dataclass_fields__:
        assert getattr(row, name) == getattr(received, name), name


async def test_an_event_is_one_row_and_each_delivery_is_counted(database: Database) -> None:
    first = await store_receipts(database, [event("evt_2"), event("evt_1"), event("evt_2")])
    second = await store_receipts(database, [event("evt_3"), event("evt_2")])

    assert {stored.deliveries for stored in (first["evt_1"], second["evt_3"])} == {1}
    assert (first["evt_2"].deliveries, second["evt_2"].deliveries) == (2, 3)
    assert await count_rows(database) == 3


async def test_an_event_is_due_as_soon_as_it_is_stored_whatever_our_clock_says(database: Database) -> None:
    await store_receipts(database, [replace(event("evt_1"), receive_time=datetime(2099, 1, 1, tzinfo=UTC))])

    async with database.transaction() as tx:
        assert await claim_event(tx, "evt_1", (PENDING,), 30.0) is not None


async def test_rows_that_the_database_refuses_leave_nothing(database: Database) -> None:
    wrong = replace(event("evt_2"), livemode=None)  # type: ignore[arg-type]

    with pytest.raises(RowsRefusedError):
        await store_receipts(database, [event("evt_1"), wrong, event("evt_3")])

    assert await count_rows(database) == 0


async def test_two_bridges_that_receive_the_same_events_in_any_order_do_not_deadlock(
    database: Database, database_url: str
) -> None:
    names = [f"evt_{number:03}" for number in range(120)]
    async with (
        open_database(database_url) as other,
        open_receiver(database, now) as here,
        open_receiver(database if other.dialect == "sqlite" else other, now) as there,
    ):
        receipts = await asyncio.gather(
            *(here.receive(payload_of(name)) for name in names),
            *(there.receive(payload_of(name)) for name in reversed(names)),
        )

    assert all(receipt.pending for receipt in receipts)
    assert {receipt.deliveries for receipt in receipts} == {1, 2}
    assert await count_rows(database) == len(names)


async def test_an_event_that_the_database_refuses_fails_alone_among_many(database: Database) -> None:
    async with database.transaction() as tx:
        for statement in REFUSING[database.dialect]:
            await tx.execute(text(statement))
    names = [f"evt_{number}" for number in range(20)]

    async with open_receiver(database, now) as receiver:
        outcomes = await asyncio.gather(*(receiver.receive(payload_of(name)) for name in names), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [Receipt] * 7 + [StorageUnavailableError] + [Receipt] * 12
    assert await count_rows(database) == 19


async def test_a_probe_leaves_nothing(database: Database) -> None:
    async with open_receiver(database, now) as receiver:
        await receiver.probe()
        await receiver.probe()

    assert await count_rows(database) == 0


async def test_where_no_server_listens_that_is_said_soon() -> None:
    async with (
        open_database("postgresql+asyncpg://nobody@127.0.0.1:1/nothing") as database,
        open_receiver(database, now) as receiver,
        asyncio.timeout(10),
    ):
        with pytest.raises(StorageUnavailableError, match="send it again"):
            await receiver.receive(payload_of("evt_1"))


REFUSING = {
    "sqlite": [
        "CREATE TRIGGER refusing BEFORE INSERT ON stripe_events WHEN NEW.stripe_event_id = 'evt_7' "
        "BEGIN SELECT RAISE(ABORT, 'no'); END"
    ],
    "postgresql": [
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$",
        "CREATE TRIGGER refusing BEFORE INSERT ON stripe_events FOR EACH ROW "
        "WHEN (NEW.stripe_event_id = 'evt_7') EXECUTE FUNCTION refuse()",
    ],
}
