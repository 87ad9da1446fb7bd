"""SQL of the reconciler: up to when Stripe's list of events was read, which of them are here, and overdue orders."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from payments_service.storage.column_types import database_now, database_now_plus
from payments_service.storage.dialects import upsert
from payments_service.storage.tables import orders, reconcile_marks, stripe_events


async def read_mark(reading: AsyncConnection, account: str) -> datetime | None:
    """Read up to when an account's events were listed; None where they never were."""
    statement = select(reconcile_marks.c.listed_until).where(reconcile_marks.c.stripe_account == account)
    mark: datetime | None = (await reading.execute(statement)).scalar_one_or_none()
    return mark


async def write_mark(tx: AsyncConnection, account: str, listed_until: datetime, now: datetime) -> None:
    """Move an account's mark, which only goes on once a window is done."""
    statement = upsert(tx, reconcile_marks).values(stripe_account=account, listed_until=listed_until, last_run_time=now)
    moved = {"listed_until": statement.excluded["listed_until"], "last_run_time": statement.excluded["last_run_time"]}
    await tx.execute(statement.on_conflict_do_update(index_elements=["stripe_account"], set_=moved))


async def last_reconcile_time(reading: AsyncConnection) -> datetime | None:
    """Read when the account that was reconciled longest ago was; None where none was."""
    time: datetime | None = (await reading.execute(select(func.min(reconcile_marks.c.last_run_time)))).scalar_one()
    return time


async def known_event_ids(reading: AsyncConnection, stripe_event_ids: Sequence[str]) -> set[str]:
    """Say which of some events are in the inbox."""
    statement = select(stripe_events.c.stripe_event_id).where(stripe_events.c.stripe_event_id.in_(stripe_event_ids))
    return set((await reading.execute(statement)).scalars())


async def overdue_order_ids(
    reading: AsyncConnection, *, open_state: int, awaiting_state: int, creating_state: int, limit: int
) -> list[str]:
    """List orders of which Stripe should have told something by now, the one that was asked for longest ago first."""
    expired = and_(orders.c.payment_state == open_state, orders.c.expire_time < database_now_plus(-300))
    waiting = and_(orders.c.payment_state == awaiting_state, orders.c.update_time < database_now_plus(-86_400))
    unanswered = and_(orders.c.payment_state == creating_state, orders.c.create_time < database_now_plus(-600))
    rested = or_(orders.c.check_time.is_(None), orders.c.check_time < database_now_plus(-3600))
    statement = (
        select(orders.c.order_id)
        .where(or_(expired, waiting, unanswered), rested)
        .order_by(orders.c.check_time.is_not(None), orders.c.check_time, orders.c.create_time)
        .limit(limit)
    )
    return list((await reading.execute(statement)).scalars())


async def note_check(tx: AsyncConnection, order_id: str) -> None:
    """Note that an order was asked for, so that others come first the next time."""
    await tx.execute(update(orders).where(orders.c.order_id == order_id).values(check_time=database_now()))
