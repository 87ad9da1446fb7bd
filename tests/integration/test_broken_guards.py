"""The guards in the database are needed: with one of them broken by its own means, what it prevents does happen."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from database_servers.postgres_server import PostgresServer
from event_log.log_scene import staged
from sqlalchemy import text

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent
from payments_service.fulfillment.outcome import fulfilled
from payments_service.fulfillment.settlement import AttemptLostError, settle
from payments_service.orders.states import FulfillmentState
from payments_service.storage.fulfillment_rows import claim_fulfillment
from payments_service.storage.log_rows import append_events, sequence_events
from payments_service.storage.order_rows import lock_order

from .stages import Stages, open_stages, session_of

KEEP_EPOCHS = [
    """
    CREATE FUNCTION keep_epoch() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.claim_epoch := OLD.claim_epoch; RETURN NEW; END $$
    """,
    "CREATE TRIGGER keep_epoch BEFORE UPDATE ON fulfillments FOR EACH ROW EXECUTE FUNCTION keep_epoch()",
]
"""Without fencing: a claim that comes later looks like the one before it."""
READ_ON_BY_ID = [
    "CREATE TABLE seen (id bigint)",
    """
    CREATE FUNCTION remember() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO seen VALUES (OLD.id); RETURN NULL; END $$
    """,
    "CREATE TRIGGER remember AFTER DELETE ON event_outbox FOR EACH ROW EXECUTE FUNCTION remember()",
    """
    DO $$ BEGIN EXECUTE replace(
        pg_get_functiondef('sequence_events(integer)'::regprocedure),
        'FROM event_outbox ORDER BY',
        'FROM event_outbox WHERE event_outbox.id > (SELECT coalesce(max(seen.id), 0) FROM seen) ORDER BY'
    ); END $$
    """,
]
"""The popular way: whoever reads asks for what has a higher id than the last one that was seen."""
END_LEASES = "UPDATE fulfillments SET lease_expire_time = statement_timestamp() - interval '1 s'"


@pytest.fixture
async def stages(postgres: PostgresServer) -> AsyncIterator[Stages]:
    async with postgres.new_database() as url, open_stages(url) as opened:
        yield opened


async def execute(stages: Stages, *statements: str) -> None:
    async with stages.database.transaction() as tx:
        for statement in statements:
            await tx.execute(text(statement))


async def overtaken(stages: Stages) -> int:
    """Let a worker sleep through its lease and settle after the one that came after it; counts what was told."""
    order = await stages.order()
    await stages.tell("checkout.session.completed", session_of(order))
    (owed,) = await stages.owed(order.order_id)
    async with stages.database.transaction() as tx:
        asleep = await claim_fulfillment(tx, owed.fulfillment_id, FulfillmentState.PENDING, 15.0)
    assert asleep is not None
    await execute(stages, END_LEASES)
    await stages.fulfill(order.order_id)
    async with stages.database.transaction() as tx:
        locked = await lock_order(tx, order.order_id)
        assert locked is not None
        await settle(tx, locked, asleep, fulfilled({}), datetime.now(UTC))
    return await told(stages)


async def told(stages: Stages) -> int:
    return sum(event.type == FulfillmentEvent.TYPE_FULFILLED for event in await stages.log())


async def test_who_was_overtaken_settles_nothing(stages: Stages) -> None:
    with pytest.raises(AttemptLostError):
        await overtaken(stages)

    assert await told(stages) == 1


async def test_without_fencing_who_was_overtaken_tells_a_fulfillment_twice(stages: Stages) -> None:
    await execute(stages, *KEEP_EPOCHS)

    assert await overtaken(stages) == 2


async def committed_out_of_order(stages: Stages) -> set[str]:
    """Let two transactions stage an event each and commit in the other order; names what the log has in the end."""
    async with stages.database.transaction() as slow:
        await append_events(slow, [staged(1, order="ord_1")])
        async with stages.database.transaction() as quick:
            await append_events(quick, [staged(1, order="ord_2")])
        await stages.log()
    async with stages.database.transaction() as tx:
        await sequence_events(tx)
    async with stages.database.reading() as reading:
        return set((await reading.execute(text("SELECT ordering_key FROM event_log"))).scalars())


async def test_events_that_commit_out_of_order_are_all_told(stages: Stages) -> None:
    assert await committed_out_of_order(stages) == {"ord_1", "ord_2"}


async def test_reading_on_by_id_would_skip_what_commits_late(stages: Stages) -> None:
    await execute(stages, *READ_ON_BY_ID)

    assert await committed_out_of_order(stages) == {"ord_2"}
