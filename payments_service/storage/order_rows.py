"""SQL of orders; reads for a caller take the caller's scope, and another organization's order is not found."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Executable, Select, bindparam, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from payments_service.scope import EVERYTHING, Scope
from payments_service.storage.dialects import ignoring_inserts
from payments_service.storage.tables import orders


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An order as stored; states are the contract's numbers, `purchase` is the serialized message."""

    order_id: str
    organization_id: str
    user_id: str
    created_by: str
    request_id: str
    request_digest: bytes
    purchase_type: str
    purchase: bytes
    mode: int
    stripe_account: str
    livemode: bool
    stripe_parameters: dict[str, Any]
    creation_generation: int
    creation_doubtful: bool
    creation_epoch: int
    creation_lease_expire_time: datetime | None
    creation_first_call_time: datetime | None
    """Of the present generation."""
    creation_last_call_time: datetime | None
    rejection: dict[str, Any] | None
    facts: dict[str, Any]
    payment_state: int
    fulfillment_state: int
    subscription_state: int
    cancel_at_period_end: bool
    current_period_end: datetime | None
    total_minor_units: int | None
    refunded_minor_units: int
    currency_code: str | None
    checkout_session_id: str | None
    checkout_url: str | None
    payment_intent_id: str | None
    subscription_id: str | None
    customer_id: str | None
    version: int
    create_time: datetime
    update_time: datetime
    expire_time: datetime | None
    check_time: datetime | None
    """When Stripe was last asked for an order that was overdue."""


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """What a list is narrowed to; empty means no narrowing."""

    organization_id: str = ""
    user_id: str = ""
    purchase_type: str = ""
    payment_states: tuple[int, ...] = ()
    fulfillment_states: tuple[int, ...] = ()


ORDER_COLUMNS = tuple(orders.c[field.name] for field in fields(OrderRow))
# Made once: building a statement costs as much as executing it.
_BY_ID = select(*ORDER_COLUMNS).where(orders.c.order_id == bindparam("wanted"))
_LOCK = _BY_ID.with_for_update()
_UPDATE = update(orders).where(orders.c.order_id == bindparam("wanted")).returning(*ORDER_COLUMNS)
_INSERTS = {name: insert.returning(*ORDER_COLUMNS) for name, insert in ignoring_inserts(orders).items()}


async def insert_order(tx: AsyncConnection, values: dict[str, Any]) -> OrderRow | None:
    """Insert a new order; None where the caller's request id has one already."""
    return await _one(tx, _INSERTS[tx.dialect.name], values)


async def find_by_request(
    reading: AsyncConnection, organization_id: str, created_by: str, request_id: str
) -> OrderRow | None:
    """Find the order that a caller's request has made."""
    statement = select(*ORDER_COLUMNS).where(
        orders.c.organization_id == organization_id,
        orders.c.created_by == created_by,
        orders.c.request_id == request_id,
    )
    return await _one(reading, statement, {})


async def find_order(reading: AsyncConnection, order_id: str, scope: Scope) -> OrderRow | None:
    """Find an order of the scope by its id."""
    return await _one(reading, _scoped(_BY_ID, scope), {"wanted": order_id})


async def find_by_session(reading: AsyncConnection, session_id: str, scope: Scope) -> OrderRow | None:
    """Find an order of the scope by its checkout session."""
    statement = select(*ORDER_COLUMNS).where(orders.c.checkout_session_id == session_id)
    return await _one(reading, _scoped(statement, scope), {})


async def lock_order(tx: AsyncConnection, order_id: str, scope: Scope = EVERYTHING) -> OrderRow | None:
    """Lock an order's row until the transaction ends; always before the inbox's or a fulfillment's row."""
    return await _one(tx, _scoped(_LOCK, scope), {"wanted": order_id})


async def update_order(tx: AsyncConnection, order_id: str, values: dict[str, Any]) -> OrderRow:
    """Change an order that this transaction has locked."""
    return OrderRow(*(await tx.execute(_UPDATE, {"wanted": order_id, **values})).one())


async def list_orders(
    reading: AsyncConnection, scope: Scope, narrowed: OrderFilter, after: tuple[datetime, str] | None, limit: int
) -> list[OrderRow]:
    """List orders of the scope, newest first, strictly after a key of an earlier page."""
    statement = select(*ORDER_COLUMNS).where(*_within(scope), *_narrowing(narrowed))
    if after is not None:
        statement = statement.where(tuple_(orders.c.create_time, orders.c.order_id) < after)
    newest = statement.order_by(orders.c.create_time.desc(), orders.c.order_id.desc()).limit(limit)
    return [OrderRow(*row) for row in await reading.execute(newest)]


def _narrowing(narrowed: OrderFilter) -> list[ColumnElement[bool]]:
    exact = {
        orders.c.organization_id: narrowed.organization_id,
        orders.c.user_id: narrowed.user_id,
        orders.c.purchase_type: narrowed.purchase_type,
    }
    among = {
        orders.c.payment_state: narrowed.payment_states,
        orders.c.fulfillment_state: narrowed.fulfillment_states,
    }
    return [
        *(column == value for column, value in exact.items() if value),
        *(column.in_(values) for column, values in among.items() if values),
    ]


def _within(scope: Scope) -> Sequence[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if scope.organizations is not None:
        conditions.append(orders.c.organization_id.in_(scope.organizations))
    if scope.purchase_types is not None:
        conditions.append(orders.c.purchase_type.in_(scope.purchase_types))
    return conditions


def _scoped(statement: Select[Any], scope: Scope) -> Select[Any]:
    conditions = _within(scope)
    return statement.where(*conditions) if conditions else statement


async def _one(connection: AsyncConnection, statement: Executable, values: dict[str, Any]) -> OrderRow | None:
    row = (await connection.execute(statement, values)).one_or_none()
    return None if row is None else OrderRow(*row)
