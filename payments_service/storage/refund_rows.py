"""SQL of refunds: those that a caller asked for, committed before Stripe is, and those that Stripe tells of."""

from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from payments_service.storage.column_types import database_now, database_now_plus
from payments_service.storage.dialects import insert_ignoring
from payments_service.storage.tables import refunds

SHOWN_REFUNDS = 20
"""How many refunds an order carries with it: the newest."""


@dataclass(frozen=True, slots=True)
class RefundRow:
    """One refund as stored; `stripe_refund_id` is None until Stripe has answered."""

    refund_id: str
    stripe_refund_id: str | None
    order_id: str
    organization_id: str
    fulfillment_id: str | None
    payment_intent_id: str | None
    charge_id: str | None
    created_by: str
    request_id: str | None
    request_digest: bytes | None
    amount_minor_units: int
    currency_code: str
    reason: str
    state: int
    rejection: dict[str, Any] | None
    asking_epoch: int
    asking_lease_expire_time: datetime | None
    asking_first_call_time: datetime | None
    asking_doubtful: bool
    create_time: datetime
    update_time: datetime


_COLUMNS = tuple(refunds.c[field.name] for field in fields(RefundRow))
_OF_ORDER = (
    select(*_COLUMNS)
    .where(refunds.c.order_id == bindparam("wanted"))
    .order_by(refunds.c.create_time.desc(), refunds.c.refund_id.desc())
)


async def insert_refund(tx: AsyncConnection, values: dict[str, Any]) -> RefundRow | None:
    """Insert a refund; None where its request id or Stripe's id is there already. The order is locked."""
    statement = insert_ignoring(tx, refunds).values(values).returning(*refunds.c)
    return await _one(tx, statement)


async def update_refund(tx: AsyncConnection, refund_id: str, values: dict[str, Any]) -> RefundRow:
    """Change a refund; its order is locked."""
    statement = update(refunds).where(refunds.c.refund_id == refund_id).values(values).returning(*refunds.c)
    return RefundRow(**(await tx.execute(statement)).mappings().one())


async def find_refund(reading: AsyncConnection, order_id: str, *, refund_id: str, stripe_id: str) -> RefundRow | None:
    """Find an order's refund by the id that we gave it, or by Stripe's."""
    known = or_(refunds.c.refund_id == refund_id, refunds.c.stripe_refund_id == stripe_id)
    return await _one(reading, select(refunds).where(refunds.c.order_id == order_id, known))


async def find_refund_by_request(
    reading: AsyncConnection, organization_id: str, created_by: str, request_id: str
) -> RefundRow | None:
    """Find the refund that a caller's request has made."""
    return await _one(
        reading,
        select(refunds).where(
            refunds.c.organization_id == organization_id,
            refunds.c.created_by == created_by,
            refunds.c.request_id == request_id,
        ),
    )


async def find_refund_by_id(reading: AsyncConnection, refund_id: str) -> RefundRow | None:
    """Find a refund by the id that we gave it."""
    return await _one(reading, select(refunds).where(refunds.c.refund_id == refund_id))


async def claim_refund(
    tx: AsyncConnection, refund_id: str, requested_state: int, lease_seconds: float, now: datetime
) -> RefundRow | None:
    """Take the right to ask Stripe for this refund; None where another has it or it is not to be asked for.

    Doubt is committed before the call, so that a crash leaves no false certainty; the row that comes back tells of
    the doubt that was there before.
    """
    free = or_(refunds.c.asking_lease_expire_time.is_(None), refunds.c.asking_lease_expire_time < database_now())
    statement = (
        update(refunds)
        .where(refunds.c.refund_id == refund_id, refunds.c.state == requested_state, free)
        .where(refunds.c.rejection.is_(None))
        .values(
            asking_epoch=refunds.c.asking_epoch + 1,
            asking_lease_expire_time=database_now_plus(lease_seconds),
            asking_first_call_time=func.coalesce(refunds.c.asking_first_call_time, now),
            asking_doubtful=True,
        )
        .returning(*refunds.c)
    )
    claimed = await _one(tx, statement)
    return None if claimed is None else replace(claimed, asking_doubtful=claimed.asking_epoch > 1)


async def unanswered_refund_ids(
    reading: AsyncConnection, requested_state: int, limit: int, overdue_seconds: float
) -> list[str]:
    """List refunds that were committed a while ago and that nobody asks Stripe for, oldest first."""
    free = or_(refunds.c.asking_lease_expire_time.is_(None), refunds.c.asking_lease_expire_time < database_now())
    statement = (
        select(refunds.c.refund_id)
        .where(refunds.c.state == requested_state, free, refunds.c.update_time < database_now_plus(-overdue_seconds))
        .order_by(refunds.c.update_time)
        .limit(limit)
    )
    return list((await reading.execute(statement)).scalars())


async def list_refunds(reading: AsyncConnection, order_id: str) -> list[RefundRow]:
    """List all refunds of an order, newest first."""
    return [RefundRow(*row) for row in await reading.execute(_OF_ORDER, {"wanted": order_id})]


async def list_shown_refunds(reading: AsyncConnection, order_ids: list[str]) -> dict[str, list[RefundRow]]:
    """List the newest refunds of several orders with one read."""
    rank = func.row_number().over(
        partition_by=refunds.c.order_id, order_by=(refunds.c.create_time.desc(), refunds.c.refund_id.desc())
    )
    ranked = select(refunds, rank.label("rank")).where(refunds.c.order_id.in_(order_ids)).subquery()
    columns = [ranked.c[column.name] for column in refunds.c]
    newest = select(*columns).where(ranked.c.rank <= SHOWN_REFUNDS).order_by(ranked.c.rank)
    found: dict[str, list[RefundRow]] = {order_id: [] for order_id in order_ids}
    for row in (await reading.execute(newest)).mappings():
        found[row["order_id"]].append(RefundRow(**row))
    return found


async def _one(connection: AsyncConnection, statement: Any) -> RefundRow | None:  # noqa: ANN401
    row = (await connection.execute(statement)).mappings().one_or_none()
    return None if row is None else RefundRow(**row)
