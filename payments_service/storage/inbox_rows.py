"""SQL of the inbox: which of Stripe's events wait, who works on one, and what became of it.

Receiving has its own file, receipt_rows.py: there thousands a second are written, here one at a time is worked on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Executable, Float, bindparam, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from payments_service.storage.column_types import database_now, database_now_plus
from payments_service.storage.tables import stripe_events


@dataclass(frozen=True, slots=True)
class InboxRow:
    """One event from Stripe as stored; `payload` is the body byte for byte."""

    stripe_event_id: str
    type: str
    stripe_account: str
    livemode: bool
    api_version: str
    payload: bytes
    object_id: str
    payment_intent_id: str | None
    charge_id: str | None
    invoice_id: str | None
    subscription_id: str | None
    source: str
    state: int
    verdict_reason: str
    order_id: str | None
    organization_id: str | None
    deliveries: int
    attempts: int
    claim_epoch: int
    lease_expire_time: datetime | None
    next_attempt_time: datetime | None
    last_error: str
    stripe_create_time: datetime
    receive_time: datetime
    settle_time: datetime | None


@dataclass(frozen=True, slots=True)
class StripeEventFilter:
    """What a list is narrowed to; empty means no narrowing."""

    states: tuple[int, ...] = ()
    type: str = ""
    order_id: str = ""


class InboxCounts(NamedTuple):
    """How many events stand in each state, and since when the oldest unsettled one waits."""

    by_state: dict[int, int]
    oldest_pending_age: timedelta | None


def _unleased() -> Any:  # noqa: ANN401  # an SQL condition
    return or_(stripe_events.c.lease_expire_time.is_(None), stripe_events.c.lease_expire_time < database_now())


_COLUMNS = tuple(stripe_events.c[field.name] for field in fields(InboxRow))
# Made once: building a statement costs as much as executing it.
_CLAIM = (
    update(stripe_events)
    .where(
        stripe_events.c.stripe_event_id == bindparam("wanted"),
        stripe_events.c.state.in_(bindparam("open_states", expanding=True)),
        stripe_events.c.next_attempt_time <= database_now(),
        _unleased(),
    )
    .values(
        attempts=stripe_events.c.attempts + 1,
        claim_epoch=stripe_events.c.claim_epoch + 1,
        lease_expire_time=database_now_plus(bindparam("lease_seconds", type_=Float)),
    )
    .returning(*_COLUMNS)
)
_SETTLE = (
    update(stripe_events)
    .where(stripe_events.c.stripe_event_id == bindparam("wanted"), stripe_events.c.claim_epoch == bindparam("epoch"))
    .values(lease_expire_time=None)
)
_POSTPONE = _SETTLE.values(next_attempt_time=database_now_plus(bindparam("delay_seconds", type_=Float)))
_RELEASE = (
    update(stripe_events)
    .where(
        stripe_events.c.payment_intent_id == bindparam("known"), stripe_events.c.state == bindparam("deferred_state")
    )
    .values(next_attempt_time=database_now())
)


async def claim_event(
    tx: AsyncConnection, stripe_event_id: str, open_states: Sequence[int], lease_seconds: float
) -> InboxRow | None:
    """Take a due event: its attempt is counted before the work, so that a deadly one runs out of attempts."""
    given = {"wanted": stripe_event_id, "open_states": list(open_states), "lease_seconds": lease_seconds}
    return await _one(tx, _CLAIM, given)


async def settle_event(tx: AsyncConnection, stripe_event_id: str, claim_epoch: int, values: dict[str, Any]) -> bool:
    """Write what became of an event; False where another claim came in between, and nothing may be committed."""
    given = {"wanted": stripe_event_id, "epoch": claim_epoch, **values}
    return (await tx.execute(_SETTLE, given)).rowcount == 1


async def postpone_event(
    tx: AsyncConnection, stripe_event_id: str, claim_epoch: int, delay_seconds: float, values: dict[str, Any]
) -> bool:
    """Give an event back until later, by the database's clock."""
    given = {"wanted": stripe_event_id, "epoch": claim_epoch, "delay_seconds": delay_seconds, **values}
    return (await tx.execute(_POSTPONE, given)).rowcount == 1


async def release_deferred(tx: AsyncConnection, deferred_state: int, *, payment_intent_id: str) -> None:
    """Make due what waited for the order that has just learned this id."""
    await tx.execute(_RELEASE, {"known": payment_intent_id, "deferred_state": deferred_state})


async def reopen_event(tx: AsyncConnection, stripe_event_id: str, pending_state: int) -> InboxRow | None:
    """Make an event due now with a fresh budget of attempts; a claim that is under way loses its fence."""
    statement = (
        update(stripe_events)
        .where(stripe_events.c.stripe_event_id == stripe_event_id)
        .values(
            state=pending_state,
            attempts=0,
            claim_epoch=stripe_events.c.claim_epoch + 1,
            lease_expire_time=None,
            next_attempt_time=database_now(),
            settle_time=None,
        )
        .returning(*_COLUMNS)
    )
    return await _one(tx, statement, {})


async def due_event_ids(
    reading: AsyncConnection, open_states: Sequence[int], limit: int, overdue_seconds: float
) -> list[str]:
    """List what has been due for a while and is nobody's, oldest first."""
    statement = (
        select(stripe_events.c.stripe_event_id)
        .where(
            stripe_events.c.state.in_(open_states),
            stripe_events.c.next_attempt_time <= database_now_plus(-overdue_seconds),
            _unleased(),
        )
        .order_by(stripe_events.c.next_attempt_time)
        .limit(limit)
    )
    return list((await reading.execute(statement)).scalars())


async def find_event(reading: AsyncConnection, stripe_event_id: str) -> InboxRow | None:
    """Find an event by Stripe's id."""
    return await _one(reading, select(*_COLUMNS).where(stripe_events.c.stripe_event_id == stripe_event_id), {})


async def list_events(
    reading: AsyncConnection, narrowed: StripeEventFilter, after: tuple[datetime, str] | None, limit: int
) -> list[InboxRow]:
    """List events, the last received first, strictly after a key of an earlier page."""
    statement = select(*_COLUMNS)
    if narrowed.states:
        statement = statement.where(stripe_events.c.state.in_(narrowed.states))
    if narrowed.type:
        statement = statement.where(stripe_events.c.type == narrowed.type)
    if narrowed.order_id:
        statement = statement.where(stripe_events.c.order_id == narrowed.order_id)
    if after is not None:
        statement = statement.where(tuple_(stripe_events.c.receive_time, stripe_events.c.stripe_event_id) < after)
    newest = statement.order_by(stripe_events.c.receive_time.desc(), stripe_events.c.stripe_event_id.desc())
    return [InboxRow(*row) for row in await reading.execute(newest.limit(limit))]


async def count_events(reading: AsyncConnection, open_states: Sequence[int]) -> InboxCounts:
    """Count events by state; ages are by the database's clock."""
    grouped = select(stripe_events.c.state, func.count()).group_by(stripe_events.c.state)
    by_state = {row[0]: row[1] for row in await reading.execute(grouped)}
    oldest = select(database_now(), func.min(stripe_events.c.receive_time)).where(
        stripe_events.c.state.in_(open_states)
    )
    now, since = (await reading.execute(oldest)).one()
    return InboxCounts(by_state, None if since is None else max(now - since, timedelta()))


async def _one(connection: AsyncConnection, statement: Executable, given: dict[str, Any]) -> InboxRow | None:
    row = (await connection.execute(statement, given)).one_or_none()
    return None if row is None else InboxRow(*row)
