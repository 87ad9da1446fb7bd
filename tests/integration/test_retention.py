"""What is past its time is forgotten, in the order of its age, and what still waits or has failed never is."""

from datetime import timedelta

from sqlalchemy import func, select, update

from payments_service.actors.retention import Retention
from payments_service.orders.states import StripeEventState
from payments_service.storage.lease_rows import Fence, enlist_duties, take_duty
from payments_service.storage.log_rows import read_head
from payments_service.storage.tables import event_log, stripe_events

from .stages import Stages, session_of

COMPLETED = "checkout.session.completed"


async def fence(stages: Stages) -> Fence:
    async with stages.database.transaction() as tx:
        await enlist_duties(tx, ["trim"])
        taken = await take_duty(tx, "trim", "test", 60.0)
    assert taken is not None
    return taken


async def grow_old(stages: Stages, days: int) -> None:
    """Let all that was settled and logged be so many days old."""
    past = stages.now() - timedelta(days=days)
    async with stages.database.transaction() as tx:
        await tx.execute(update(stripe_events).where(stripe_events.c.settle_time.is_not(None)).values(settle_time=past))
        await tx.execute(update(event_log).values(sequence_time=past))


async def test_old_payloads_and_log_entries_go_and_the_ids_stay(stages: Stages) -> None:
    order = await stages.order()
    event = await stages.tell(COMPLETED, session_of(order))
    await stages.log()
    await grow_old(stages, 91)
    retention = Retention(stages.database, timedelta(days=90), stages.now)

    trimmed = await retention.trim(await fence(stages))

    kept = await stages.event_now(event.stripe_event_id)
    async with stages.database.reading() as reading:
        head = await read_head(reading)
        left = (await reading.execute(select(func.count()).select_from(event_log))).scalar_one()
    assert trimmed == {"payloads": 1, "events": 0, "log": 2}
    assert (kept.payload, kept.state) == (b"", StripeEventState.APPLIED)
    assert (head.position, head.trimmed_through, left) == (2, 2, 0)


async def test_an_id_stays_longer_than_stripe_lists_the_event(stages: Stages) -> None:
    await stages.tell(COMPLETED, session_of(await stages.order()))
    retention = Retention(stages.database, timedelta(days=90), stages.now)
    held = await fence(stages)

    await grow_old(stages, 124)
    early = await retention.trim(held)
    await grow_old(stages, 126)
    late = await retention.trim(held)

    assert (early["events"], late["events"]) == (0, 1)


async def test_what_failed_or_waits_is_kept(stages: Stages) -> None:
    failed = await stages.tell(COMPLETED, {"id": "cs_1", "metadata": {"type": "course"}})
    pending = await stages.store(COMPLETED, {"id": "cs_2"})
    await grow_old(stages, 400)

    await Retention(stages.database, timedelta(days=90), stages.now).trim(await fence(stages))

    assert (await stages.event_now(failed.stripe_event_id)).payload
    assert (await stages.event_now(pending)).payload
