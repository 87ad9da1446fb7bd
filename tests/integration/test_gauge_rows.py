"""What an operator watches is counted from the rows that wait, as old as they are, and no further than is needed."""

from datetime import timedelta

from event_log.log_scene import staged
from sqlalchemy import insert, text, update

from payments_service.orders.states import FulfillmentState, StripeEventState
from payments_service.storage.exception_rows import PARKED, RETRY
from payments_service.storage.gauge_rows import MOST, UNFINISHED_FULFILLMENTS, GaugeReadings, SubscriberLag, read_gauges
from payments_service.storage.lease_rows import enlist_duties, take_duty
from payments_service.storage.log_rows import append_events
from payments_service.storage.tables import (
    event_log_head,
    event_outbox,
    stripe_events,
    subscriber_exceptions,
    subscriber_shards,
)

from .stages import Stages, session_of

COMPLETED = "checkout.session.completed"
EVENTS = (StripeEventState.PENDING, StripeEventState.DEFERRED, StripeEventState.FAILED)
FULFILLMENTS = (FulfillmentState.PENDING, FulfillmentState.AWAITING_OWNER, FulfillmentState.FAILED)
HOUR = timedelta(hours=1)


async def readings(stages: Stages) -> GaugeReadings:
    async with stages.database.reading() as reading:
        return await read_gauges(reading, EVENTS, FULFILLMENTS)


async def test_nothing_waits_in_an_empty_installation(stages: Stages) -> None:
    found = await readings(stages)

    assert {pile.count for pile in (*found.events.values(), *found.fulfillments.values(), found.outbox)} == {0}
    assert {pile.oldest for pile in (*found.events.values(), *found.fulfillments.values())} == {timedelta()}
    assert (found.reconcile_time, found.duties, found.subscribers) == (None, [], [])


async def test_what_waits_is_counted_by_its_state_and_as_old_as_it_is(stages: Stages) -> None:
    await stages.tell(COMPLETED, session_of(await stages.order()))
    await stages.tell(COMPLETED, {"id": "cs_1", "metadata": {"type": "course"}})
    pending = await stages.store(COMPLETED, {"id": "cs_2"})
    await stages.store(COMPLETED, {"id": "cs_3"})
    old = stages.now() - HOUR
    async with stages.database.transaction() as tx:
        waiting = stripe_events.c.stripe_event_id == pending
        await tx.execute(update(stripe_events).where(waiting).values(receive_time=old))
        await tx.execute(update(event_outbox).values(occur_time=old))

    found = await readings(stages)

    assert {state: pile.count for state, pile in found.events.items()} == dict(zip(EVENTS, (2, 0, 1), strict=True))
    assert found.fulfillments[FulfillmentState.PENDING].count == 1
    assert found.outbox.count > 0
    assert HOUR <= found.events[StripeEventState.PENDING].oldest < 2 * HOUR
    assert HOUR <= found.outbox.oldest < 2 * HOUR
    assert found.events[StripeEventState.FAILED].oldest < HOUR


async def test_counting_ends_where_more_would_say_no_more(stages: Stages) -> None:
    event = staged(1)
    async with stages.database.transaction() as tx:
        await append_events(tx, [event] * (MOST + 500))

    assert (await readings(stages)).outbox.count == MOST


async def test_a_duty_is_held_until_its_lease_runs_out(stages: Stages) -> None:
    async with stages.database.transaction() as tx:
        await enlist_duties(tx, ["sequence", "trim"])
        await take_duty(tx, "sequence", "somebody", 60.0)
        await take_duty(tx, "trim", "somebody", -1.0)

    found = {duty.name: (bool(duty.left), duty.epoch) for duty in (await readings(stages)).duties}

    assert found == {"sequence": (True, 1), "trim": (False, 1)}


async def test_a_subscriber_is_as_far_behind_as_its_last_shard(stages: Stages) -> None:
    await stages.tell(COMPLETED, session_of(await stages.order()))
    await stages.log()
    aside = {"subscriber": "courses", "shard": 0, "attempts": 1, "event_id": "fev_1", "organization_id": "org_1"}
    aside |= {"ordering_key": "ord_1", "purchase_type": "course", "type": 1, "body": b""}
    async with stages.database.transaction() as tx:
        place = {"subscriber": "courses", "acked_ahead": b"", "sent_through": 0}
        shards = [{**place, "shard": shard, "acked_through": through} for shard, through in ((0, 2), (1, 1))]
        await tx.execute(insert(subscriber_shards), shards)
        states = ((5, PARKED), (6, PARKED), (7, RETRY))
        rows = [{**aside, "position": position, "state": state} for position, state in states]
        await tx.execute(insert(subscriber_exceptions), rows)

    behind = (await readings(stages)).subscribers
    async with stages.database.transaction() as tx:
        await tx.execute(update(event_log_head).values(trimmed_through=2))
    lost = (await readings(stages)).subscribers

    assert len(behind) == 1
    assert timedelta() < behind[0].oldest < HOUR
    assert behind[0] == SubscriberLag("courses", 1, behind[0].oldest, 1, 2, 0, has_lost_data=False)
    assert lost[0].has_lost_data


async def test_what_is_fulfilled_is_not_looked_through_for_what_is_not(stages: Stages) -> None:
    async with stages.database.transaction() as tx:
        if tx.dialect.name == "postgresql":
            await tx.execute(text("SET LOCAL enable_seqscan = off"))
        asked = UNFINISHED_FULFILLMENTS.params(state=1).compile(
            dialect=tx.dialect, compile_kwargs={"literal_binds": True}
        )
        explain = "EXPLAIN" if tx.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
        plan = str((await tx.execute(text(f"{explain} {asked}"))).all())

    assert "ix_fulfillments_unfinished" in plan
