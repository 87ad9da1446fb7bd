"""SQL of an order's creation at Stripe: one lease holder at a time, by the database's clock, fenced by an epoch."""

from typing import Any

from sqlalchemy import ColumnElement, Float, bindparam, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from payments_service.storage.column_types import database_now, database_now_plus
from payments_service.storage.dialects import ignoring_inserts
from payments_service.storage.order_rows import ORDER_COLUMNS, OrderRow
from payments_service.storage.tables import orders

_LEASED = {
    orders.c.creation_epoch: 1,
    orders.c.creation_lease_expire_time: database_now_plus(bindparam("lease_seconds", type_=Float)),
}
# Made once: building a statement costs as much as executing it.
_INSERTS = {name: insert.values(_LEASED).returning(*ORDER_COLUMNS) for name, insert in ignoring_inserts(orders).items()}
_END = (
    update(orders)
    .where(orders.c.order_id == bindparam("wanted"), orders.c.creation_epoch == bindparam("epoch"))
    .values(creation_doubtful=False, creation_lease_expire_time=None)
    .returning(*ORDER_COLUMNS)
)


async def insert_creation(tx: AsyncConnection, values: dict[str, Any], lease_seconds: float) -> OrderRow | None:
    """Insert a new order, leased to whoever inserts it; None where the caller's request id has one already."""
    inserted = await tx.execute(_INSERTS[tx.dialect.name], {**values, "lease_seconds": lease_seconds})
    row = inserted.one_or_none()
    return None if row is None else OrderRow(*row)


async def read_creation(reading: AsyncConnection, order_id: str) -> tuple[OrderRow, bool]:
    """Read an order, and whether nobody is at work on its session."""
    found = await reading.execute(select(*ORDER_COLUMNS, _free()).where(orders.c.order_id == order_id))
    *row, free = found.one()
    return OrderRow(*row), bool(free)


async def claim_creation(
    tx: AsyncConnection, order_id: str, creating_state: int, lease_seconds: float, values: dict[str, Any]
) -> OrderRow | None:
    """Take the right to ask Stripe for this order's session; None where another has it."""
    statement = (
        update(orders)
        .where(orders.c.order_id == order_id, orders.c.payment_state == creating_state, _free())
        .values(
            creation_epoch=orders.c.creation_epoch + 1,
            creation_lease_expire_time=database_now_plus(lease_seconds),
            **values,
        )
        .returning(*ORDER_COLUMNS)
    )
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else OrderRow(*row)


async def end_creation(tx: AsyncConnection, order_id: str, epoch: int) -> OrderRow | None:
    """Lock an order whose session is known, and give its claim back; None where another has taken the claim over."""
    row = (await tx.execute(_END, {"wanted": order_id, "epoch": epoch})).one_or_none()
    return None if row is None else OrderRow(*row)


def _free() -> ColumnElement[bool]:
    lease = orders.c.creation_lease_expire_time
    return or_(lease.is_(None), lease < database_now())
