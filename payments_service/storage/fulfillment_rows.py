"""SQL of fulfillments, the work list of what is owed, and of the entitlements that a grant writes."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from payments_service.scope import Scope
from payments_service.storage.column_types import database_now, database_now_plus
from payments_service.storage.dialects import insert_ignoring, upsert
from payments_service.storage.tables import entitlements, fulfillments

SHOWN = 20
"""How many fulfillments an order carries with it: the newest."""


@dataclass(frozen=True, slots=True)
class FulfillmentRow:
    """One thing owed for one payment, as stored."""

    fulfillment_id: str
    order_id: str
    organization_id: str
    purchase_type: str
    source_id: str
    state: int
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
    period_start: datetime | None
    period_end: datetime | None
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class EntitlementRow:
    """What a user may use, as stored."""

    fulfillment_id: str
    organization_id: str
    user_id: str
    resource: str
    purchase_type: str
    order_id: str
    quantity: int
    grant_time: datetime
    expire_time: datetime | None
    revoke_time: datetime | None


async def insert_fulfillment(tx: AsyncConnection, values: dict[str, Any]) -> bool:
    """Owe something once for a source, due at once by the database's clock; False where it is owed already."""
    due = {"next_attempt_time": database_now()}
    statement = insert_ignoring(tx, fulfillments).values(values | due).returning(fulfillments.c.fulfillment_id)
    return (await tx.execute(statement)).first() is not None


async def claim_fulfillment(
    tx: AsyncConnection, fulfillment_id: str, pending_state: int, lease_seconds: float
) -> FulfillmentRow | None:
    """Take a due fulfillment: its attempt is counted before the work, so that a deadly one runs out of attempts."""
    statement = (
        update(fulfillments)
        .where(
            fulfillments.c.fulfillment_id == fulfillment_id,
            fulfillments.c.state == pending_state,
            fulfillments.c.next_attempt_time <= database_now(),
            or_(fulfillments.c.lease_expire_time.is_(None), fulfillments.c.lease_expire_time < database_now()),
        )
        .values(
            attempts=fulfillments.c.attempts + 1,
            claim_epoch=fulfillments.c.claim_epoch + 1,
            lease_expire_time=database_now_plus(lease_seconds),
        )
        .returning(*fulfillments.c)
    )
    return await _one(tx, statement)


async def lock_fulfillment(tx: AsyncConnection, fulfillment_id: str) -> FulfillmentRow | None:
    """Lock a fulfillment; its order is locked before."""
    statement = select(fulfillments).where(fulfillments.c.fulfillment_id == fulfillment_id).with_for_update()
    return await _one(tx, statement)


async def find_fulfillment(reading: AsyncConnection, fulfillment_id: str) -> FulfillmentRow | None:
    """Find a fulfillment; the caller's scope is checked on its order."""
    return await _one(reading, select(fulfillments).where(fulfillments.c.fulfillment_id == fulfillment_id))


async def settle_fulfillment(
    tx: AsyncConnection, fulfillment_id: str, claim_epoch: int, values: dict[str, Any], retry_seconds: float | None
) -> bool:
    """Write how an attempt ended; False where another claim came in between, and nothing may be committed."""
    due = None if retry_seconds is None else database_now_plus(retry_seconds)
    statement = (
        update(fulfillments)
        .where(fulfillments.c.fulfillment_id == fulfillment_id, fulfillments.c.claim_epoch == claim_epoch)
        .values({**values, "lease_expire_time": None, "next_attempt_time": due})
    )
    return (await tx.execute(statement)).rowcount == 1


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


async def due_fulfillment_ids(
    reading: AsyncConnection, pending_state: int, limit: int, overdue_seconds: float
) -> list[str]:
    """List what has been due for a while and is nobody's, oldest first."""
    overdue = database_now_plus(-overdue_seconds)
    statement = (
        select(fulfillments.c.fulfillment_id)
        .where(
            fulfillments.c.state == pending_state,
            fulfillments.c.next_attempt_time <= overdue,
            or_(fulfillments.c.lease_expire_time.is_(None), fulfillments.c.lease_expire_time < database_now()),
        )
        .order_by(fulfillments.c.next_attempt_time)
        .limit(limit)
    )
    return list((await reading.execute(statement)).scalars())


async def list_fulfillments(
    reading: AsyncConnection, order_id: str, after: tuple[datetime, str] | None, limit: int
) -> list[FulfillmentRow]:
    """List an order's fulfillments, newest first, strictly after a key of an earlier page."""
    statement = select(fulfillments).where(fulfillments.c.order_id == order_id)
    if after is not None:
        statement = statement.where(tuple_(fulfillments.c.create_time, fulfillments.c.fulfillment_id) < after)
    newest = statement.order_by(fulfillments.c.create_time.desc(), fulfillments.c.fulfillment_id.desc()).limit(limit)
    return [FulfillmentRow(**row) for row in (await reading.execute(newest)).mappings()]


async def list_shown(reading: AsyncConnection, order_ids: list[str]) -> dict[str, list[FulfillmentRow]]:
    """List the newest fulfillments of several orders with one read."""
    rank = func.row_number().over(
        partition_by=fulfillments.c.order_id,
        order_by=(fulfillments.c.create_time.desc(), fulfillments.c.fulfillment_id.desc()),
    )
    ranked = select(fulfillments, rank.label("rank")).where(fulfillments.c.order_id.in_(order_ids)).subquery()
    columns = [ranked.c[column.name] for column in fulfillments.c]
    newest = select(*columns).where(ranked.c.rank <= SHOWN).order_by(ranked.c.rank)
    found: dict[str, list[FulfillmentRow]] = {order_id: [] for order_id in order_ids}
    for row in (await reading.execute(newest)).mappings():
        found[row["order_id"]].append(FulfillmentRow(**row))
    return found


async def count_fulfillments(reading: AsyncConnection) -> dict[int, int]:
    """Count fulfillments by state."""
    statement = select(fulfillments.c.state, func.count()).group_by(fulfillments.c.state)
    return {row[0]: row[1] for row in await reading.execute(statement)}


async def grant_entitlement(tx: AsyncConnection, values: dict[str, Any]) -> None:
    """Write an entitlement, or grant it again."""
    statement = upsert(tx, entitlements).values(values)
    again = {name: statement.excluded[name] for name in ("quantity", "expire_time", "revoke_time")}
    await tx.execute(statement.on_conflict_do_update(index_elements=["fulfillment_id"], set_=again))


async def list_entitlements(  # noqa: PLR0913  # one filter each
    reading: AsyncConnection,
    scope: Scope,
    *,
    organization_id: str,
    user_id: str,
    resource: str,
    active_only: bool,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[EntitlementRow]:
    """List entitlements of the scope, newest first; active is by the database's clock."""
    statement = select(entitlements).where(*_entitlements_within(scope))
    exact = {
        entitlements.c.organization_id: organization_id,
        entitlements.c.user_id: user_id,
        entitlements.c.resource: resource,
    }
    statement = statement.where(*(column == value for column, value in exact.items() if value))
    if active_only:
        unexpired = or_(entitlements.c.expire_time.is_(None), entitlements.c.expire_time > database_now())
        statement = statement.where(and_(entitlements.c.revoke_time.is_(None), unexpired))
    if after is not None:
        statement = statement.where(tuple_(entitlements.c.grant_time, entitlements.c.fulfillment_id) < after)
    newest = statement.order_by(entitlements.c.grant_time.desc(), entitlements.c.fulfillment_id.desc()).limit(limit)
    return [EntitlementRow(**row) for row in (await reading.execute(newest)).mappings()]


def _entitlements_within(scope: Scope) -> list[Any]:
    conditions = []
    if scope.organizations is not None:
        conditions.append(entitlements.c.organization_id.in_(scope.organizations))
    if scope.purchase_types is not None:
        conditions.append(entitlements.c.purchase_type.in_(scope.purchase_types))
    return conditions


async def _one(connection: AsyncConnection, statement: Any) -> FulfillmentRow | None:  # noqa: ANN401
    row = (await connection.execute(statement)).mappings().one_or_none()
    return None if row is None else FulfillmentRow(**row)
