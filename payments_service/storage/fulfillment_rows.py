"""SQL of fulfillments: the work list of what is owed, and of what is to be taken back."""

from dataclasses import dataclass, fields
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Executable,
    Float,
    Integer,
    Update,
    bindparam,
    func,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from payments_service.storage.column_types import database_now, database_now_plus
from payments_service.storage.dialects import ignoring_inserts
from payments_service.storage.tables import fulfillments

MOST = 10_000
SHOWN = 20
"""How many fulfillments an order carries with it: the newest."""


@dataclass(frozen=True, slots=True)
class PurchaseTypes:
    """Some purchase types, or all others: whose fulfillments are worked on by themselves."""

    names: tuple[str, ...] = ()
    others: bool = False

    def among(self) -> ColumnElement[bool]:
        """Hold for a fulfillment of these types."""
        if self.others:
            return fulfillments.c.purchase_type.not_in(self.names) if self.names else true()
        return fulfillments.c.purchase_type.in_(self.names)


ALL_TYPES = PurchaseTypes(others=True)


@dataclass(frozen=True, slots=True)
class FulfillmentRow:
    """One thing owed for one payment, as stored."""

    fulfillment_id: str
    order_id: str
    organization_id: str
    purchase_type: str
    source_id: str
    state: int
    revoke_due: bool
    generation: int
    attempts: int
    claim_epoch: int
    lease_expire_time: datetime | None
    next_attempt_time: datetime | None
    last_error: str
    result: dict[str, str]
    amount_minor_units: int
    currency_code: str
    refunded_minor_units: int
    payment_intent_id: str | None
    charge_id: str | None
    period_start: datetime | None
    period_end: datetime | None
    create_time: datetime
    update_time: datetime


_COLUMNS = tuple(fulfillments.c[field.name] for field in fields(FulfillmentRow))
# Made once: building a statement costs as much as executing it.
_INSERTS = {
    name: insert.values(next_attempt_time=database_now()).returning(*_COLUMNS)
    for name, insert in ignoring_inserts(fulfillments).items()
}
_BY_ID = select(*_COLUMNS).where(fulfillments.c.fulfillment_id == bindparam("wanted"))
_LOCK = _BY_ID.with_for_update()
_NEWEST_FIRST = (fulfillments.c.create_time.desc(), fulfillments.c.fulfillment_id.desc())
_NEWEST = (
    select(*_COLUMNS)
    .where(fulfillments.c.order_id == bindparam("of_order"))
    .order_by(*_NEWEST_FIRST)
    .limit(bindparam("most", type_=Integer))
)
_MARK = update(fulfillments).where(fulfillments.c.fulfillment_id == bindparam("wanted"))
_MAKE_DUE = _MARK.values(attempts=0, next_attempt_time=database_now())
_SETTLE = _MARK.where(fulfillments.c.claim_epoch == bindparam("epoch")).values(lease_expire_time=None)
_SETTLE_FOR_GOOD = _SETTLE.values(next_attempt_time=None)
_SETTLE_FOR_NOW = _SETTLE.values(next_attempt_time=database_now_plus(bindparam("retry_seconds", type_=Float)))


@lru_cache
def _claim(types: PurchaseTypes) -> Update:
    return (
        update(fulfillments)
        .where(
            fulfillments.c.fulfillment_id == bindparam("wanted"),
            or_(fulfillments.c.state == bindparam("pending_state"), fulfillments.c.revoke_due),
            fulfillments.c.next_attempt_time <= database_now(),
            or_(fulfillments.c.lease_expire_time.is_(None), fulfillments.c.lease_expire_time < database_now()),
            types.among(),
        )
        .values(
            attempts=fulfillments.c.attempts + 1,
            claim_epoch=fulfillments.c.claim_epoch + 1,
            lease_expire_time=database_now_plus(bindparam("lease_seconds", type_=Float)),
        )
        .returning(*_COLUMNS)
    )


async def insert_fulfillment(tx: AsyncConnection, values: dict[str, Any]) -> FulfillmentRow | None:
    """Owe something once for a source, due at once by the database's clock; None where it is owed already."""
    return await _one(tx, _INSERTS[tx.dialect.name], values)


async def claim_fulfillment(
    tx: AsyncConnection, fulfillment_id: str, pending_state: int, lease_seconds: float, types: PurchaseTypes = ALL_TYPES
) -> FulfillmentRow | None:
    """Take one that is due, to fulfill or to revoke it; the attempt is counted before the work.

    So one that kills its process runs out of attempts.
    """
    given = {"wanted": fulfillment_id, "pending_state": pending_state, "lease_seconds": lease_seconds}
    return await _one(tx, _claim(types), given)


async def renew_claim(writing: AsyncConnection, fulfillment_id: str, claim_epoch: int, lease_seconds: float) -> bool:
    """Hold on to a claim; False where another has it, or where it was settled."""
    statement = (
        update(fulfillments)
        .where(
            fulfillments.c.fulfillment_id == fulfillment_id,
            fulfillments.c.claim_epoch == claim_epoch,
            fulfillments.c.lease_expire_time.is_not(None),
        )
        .values(lease_expire_time=database_now_plus(lease_seconds))
    )
    return (await writing.execute(statement)).rowcount == 1


async def lock_fulfillment(tx: AsyncConnection, fulfillment_id: str) -> FulfillmentRow | None:
    """Lock a fulfillment; its order is locked before."""
    return await _one(tx, _LOCK, {"wanted": fulfillment_id})


async def find_fulfillment(reading: AsyncConnection, fulfillment_id: str) -> FulfillmentRow | None:
    """Find a fulfillment; the caller's scope is checked on its order."""
    return await _one(reading, _BY_ID, {"wanted": fulfillment_id})


async def settle_fulfillment(
    tx: AsyncConnection, fulfillment_id: str, claim_epoch: int, values: dict[str, Any], retry_seconds: float | None
) -> bool:
    """Write how an attempt ended; False where another claim came in between, and nothing may be committed."""
    given = {"wanted": fulfillment_id, "epoch": claim_epoch, **values}
    if retry_seconds is None:
        return (await tx.execute(_SETTLE_FOR_GOOD, given)).rowcount == 1
    return (await tx.execute(_SETTLE_FOR_NOW, {**given, "retry_seconds": retry_seconds})).rowcount == 1


async def reopen_fulfillment(tx: AsyncConnection, fulfillment_id: str, values: dict[str, Any]) -> None:
    """Make a locked fulfillment due now with a fresh budget of attempts."""
    statement = (
        update(fulfillments)
        .where(fulfillments.c.fulfillment_id == fulfillment_id)
        .values(
            {
                **values,
                "attempts": 0,
                "claim_epoch": fulfillments.c.claim_epoch + 1,
                "lease_expire_time": None,
                "next_attempt_time": database_now(),
            }
        )
    )
    await tx.execute(statement)


async def list_all_fulfillments(tx: AsyncConnection, order_id: str) -> list[FulfillmentRow]:
    """List all of a locked order's fulfillments, newest first."""
    return await list_fulfillments(tx, order_id, None, MOST)


async def mark_fulfillment(tx: AsyncConnection, fulfillment_id: str, values: dict[str, Any]) -> None:
    """Change a fulfillment whose order is locked, without taking it from whoever works on it."""
    await tx.execute(_MARK, {"wanted": fulfillment_id, **values})


async def make_due(tx: AsyncConnection, fulfillment_id: str, values: dict[str, Any]) -> None:
    """Change a fulfillment and make it due, with a fresh budget; whoever works on it now ends its attempt first."""
    await tx.execute(_MAKE_DUE, {"wanted": fulfillment_id, **values})


async def due_fulfillment_ids(
    reading: AsyncConnection,
    pending_state: int,
    limit: int,
    overdue_seconds: float,
    types: PurchaseTypes = ALL_TYPES,
) -> list[str]:
    """List what has been due for a while and is nobody's, oldest first."""
    overdue = database_now_plus(-overdue_seconds)
    statement = (
        select(fulfillments.c.fulfillment_id)
        .where(
            or_(fulfillments.c.state == pending_state, fulfillments.c.revoke_due),
            fulfillments.c.next_attempt_time <= overdue,
            or_(fulfillments.c.lease_expire_time.is_(None), fulfillments.c.lease_expire_time < database_now()),
            types.among(),
        )
        .order_by(fulfillments.c.next_attempt_time)
        .limit(limit)
    )
    return list((await reading.execute(statement)).scalars())


async def list_fulfillments(
    reading: AsyncConnection, order_id: str, after: tuple[datetime, str] | None, limit: int
) -> list[FulfillmentRow]:
    """List an order's fulfillments, newest first, strictly after a key of an earlier page."""
    newest = _NEWEST
    if after is not None:
        newest = newest.where(tuple_(fulfillments.c.create_time, fulfillments.c.fulfillment_id) < after)
    return [FulfillmentRow(*row) for row in await reading.execute(newest, {"of_order": order_id, "most": limit})]


async def list_shown(reading: AsyncConnection, order_ids: list[str]) -> dict[str, list[FulfillmentRow]]:
    """List the newest fulfillments of several orders with one read."""
    rank = func.row_number().over(
        partition_by=fulfillments.c.order_id,
        order_by=_NEWEST_FIRST,
    )
    ranked = select(*_COLUMNS, rank.label("rank")).where(fulfillments.c.order_id.in_(order_ids)).subquery()
    columns = [ranked.c[column.name] for column in _COLUMNS]
    newest = select(*columns).where(ranked.c.rank <= SHOWN).order_by(ranked.c.rank)
    found: dict[str, list[FulfillmentRow]] = {order_id: [] for order_id in order_ids}
    for row in await reading.execute(newest):
        found[row.order_id].append(FulfillmentRow(*row))
    return found


async def count_of_order(reading: AsyncConnection, order_id: str) -> int:
    """Count an order's fulfillments."""
    statement = select(func.count()).select_from(fulfillments).where(fulfillments.c.order_id == order_id)
    count: int = (await reading.execute(statement)).scalar_one()
    return count


async def count_fulfillments(reading: AsyncConnection) -> dict[int, int]:
    """Count fulfillments by state."""
    statement = select(fulfillments.c.state, func.count()).group_by(fulfillments.c.state)
    return {row[0]: row[1] for row in await reading.execute(statement)}


async def _one(connection: AsyncConnection, statement: Executable, given: dict[str, Any]) -> FulfillmentRow | None:
    row = (await connection.execute(statement, given)).one_or_none()
    return None if row is None else FulfillmentRow(*row)
