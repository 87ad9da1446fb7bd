"""SQL of forgetting: payloads and log entries that are past their time, a bounded batch in each transaction.

An event's id stays longer than Stripe lists the event, so that the reconciler never takes a known one for new.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from payments_service.storage.tables import event_forwards, event_log, event_log_head, stripe_events

BATCH = 500


async def trim_payloads(tx: AsyncConnection, settled_states: Sequence[int], before: datetime) -> int:
    """Empty the payloads of events that were settled before a time; returns how many."""
    oldest = (
        select(stripe_events.c.stripe_event_id)
        .where(
            stripe_events.c.state.in_(settled_states),
            stripe_events.c.settle_time < before,
            func.length(stripe_events.c.payload) > 0,
        )
        .limit(BATCH)
    )
    statement = update(stripe_events).where(stripe_events.c.stripe_event_id.in_(oldest.scalar_subquery()))
    return (await tx.execute(statement.values(payload=b""))).rowcount


async def delete_events(tx: AsyncConnection, settled_states: Sequence[int], before: datetime) -> int:
    """Delete events that were settled before a time, and their forwards; returns how many."""
    statement = (
        select(stripe_events.c.stripe_event_id)
        .where(stripe_events.c.state.in_(settled_states), stripe_events.c.settle_time < before)
        .limit(BATCH)
    )
    gone = list((await tx.execute(statement)).scalars())
    if gone:
        await tx.execute(delete(event_forwards).where(event_forwards.c.stripe_event_id.in_(gone)))
        await tx.execute(delete(stripe_events).where(stripe_events.c.stripe_event_id.in_(gone)))
    return len(gone)


async def trim_log(tx: AsyncConnection, before: datetime) -> int:
    """Delete log entries that were sequenced before a time, from the oldest on; returns how many.

    The head row says how far it was trimmed, in the same transaction: a cursor from before gets CURSOR_EXPIRED.
    """
    trimmed = (await tx.execute(select(event_log_head.c.trimmed_through).with_for_update())).scalar_one()
    newest = select(func.max(event_log.c.position)).where(
        event_log.c.position <= trimmed + BATCH, event_log.c.sequence_time < before
    )
    through = (await tx.execute(newest)).scalar_one()
    if through is None or through <= trimmed:
        return 0
    await tx.execute(delete(event_log).where(event_log.c.position <= through))
    await tx.execute(update(event_log_head).values(trimmed_through=through))
    return int(through - trimmed)
