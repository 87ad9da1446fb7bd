"""SQL of entitlements: one a order, which its fulfillments extend and its revocations end."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from payments_service.scope import Scope
from payments_service.storage.column_types import database_now
from payments_service.storage.dialects import Upsert, upserts
from payments_service.storage.tables import entitlements


@dataclass(frozen=True, slots=True)
class EntitlementRow:
    """What a user may use, as stored."""

    order_id: str
    organization_id: str
    user_id: str
    resource: str
    purchase_type: str
    quantity: int
    grant_time: datetime
    expire_time: datetime | None
    """The end of what is paid for."""
    grace_days: int
    access_end_time: datetime | None
    """The end of access: later than what is paid for while a renewal may still succeed."""
    revoke_time: datetime | None


_RENEWED = ("quantity", "expire_time", "grace_days", "access_end_time", "revoke_time")


def _renewing(start: Upsert) -> Upsert:
    again = {name: start.excluded[name] for name in _RENEWED}
    return start.on_conflict_do_update(index_elements=["order_id"], set_=again)


_COLUMNS = tuple(entitlements.c[field.name] for field in fields(EntitlementRow))
# Made once: building a statement costs as much as executing it.
_GRANTS = {name: _renewing(start) for name, start in upserts(entitlements).items()}
_FIND = select(*_COLUMNS).where(entitlements.c.order_id == bindparam("wanted"))


async def grant_entitlement(tx: AsyncConnection, values: dict[str, Any]) -> None:
    """Write an order's entitlement, or grant it again."""
    await tx.execute(_GRANTS[tx.dialect.name], values)


async def find_entitlement(reading: AsyncConnection, order_id: str) -> EntitlementRow | None:
    """Find what an order entitles to."""
    row = (await reading.execute(_FIND, {"wanted": order_id})).one_or_none()
    return None if row is None else EntitlementRow(*row)


async def change_entitlement(tx: AsyncConnection, order_id: str, values: dict[str, Any]) -> None:
    """Change an order's entitlement where it has one; the order is locked."""
    await tx.execute(update(entitlements).where(entitlements.c.order_id == order_id).values(values))


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
    statement = select(entitlements).where(*_within(scope))
    exact = {
        entitlements.c.organization_id: organization_id,
        entitlements.c.user_id: user_id,
        entitlements.c.resource: resource,
    }
    statement = statement.where(*(column == value for column, value in exact.items() if value))
    if active_only:
        unended = or_(entitlements.c.access_end_time.is_(None), entitlements.c.access_end_time > database_now())
        statement = statement.where(and_(entitlements.c.revoke_time.is_(None), unended))
    if after is not None:
        statement = statement.where(tuple_(entitlements.c.grant_time, entitlements.c.order_id) < after)
    newest = statement.order_by(entitlements.c.grant_time.desc(), entitlements.c.order_id.desc()).limit(limit)
    return [EntitlementRow(**row) for row in (await reading.execute(newest)).mappings()]


def _within(scope: Scope) -> list[Any]:
    conditions = []
    if scope.organizations is not None:
        conditions.append(entitlements.c.organization_id.in_(scope.organizations))
    if scope.purchase_types is not None:
        conditions.append(entitlements.c.purchase_type.in_(scope.purchase_types))
    return conditions
