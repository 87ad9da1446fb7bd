"""SQL of forwards: each event that is not ours, once for each URL that it is passed on to, until that has taken it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from payments_service.storage.column_types import database_now, database_now_plus
from payments_service.storage.dialects import insert_ignoring
from payments_service.storage.tables import event_forwards, stripe_events

PENDING, DONE, FAILED = "pending", "done", "failed"


@dataclass(frozen=True, slots=True)
class DueForward:
    """One delivery that is claimed."""

    stripe_event_id: str
    url: str
    attempts: int
    claim_epoch: int
    create_time: datetime
    payload: bytes


async def insert_forwards(tx: AsyncConnection, stripe_event_id: str, urls: Sequence[str], now: datetime) -> None:
    """Owe an event to its targets, in the transaction that gives it its verdict; what is owed already stays."""
    if urls:
        rows = [{"stripe_event_id": stripe_event_id, "url": url, "state": PENDING, "create_time": now} for url in urls]
        await tx.execute(insert_ignoring(tx, event_forwards).values(rows))


async def claim_forwards(tx: AsyncConnection, url: str, limit: int, lease_seconds: float) -> list[DueForward]:
    """Take the due deliveries of a target, oldest first."""
    oldest = (
        select(event_forwards.c.stripe_event_id)
        .where(event_forwards.c.url == url, *_due())
        .order_by(event_forwards.c.create_time)
        .limit(limit)
    )
    statement = (
        update(event_forwards)
        .where(event_forwards.c.url == url, event_forwards.c.stripe_event_id.in_(oldest.scalar_subquery()), *_due())
        .values(
            attempts=event_forwards.c.attempts + 1,
            claim_epoch=event_forwards.c.claim_epoch + 1,
            lease_expire_time=database_now_plus(lease_seconds),
        )
        .returning(event_forwards)
    )
    claimed = {row["stripe_event_id"]: row for row in (await tx.execute(statement)).mappings()}
    payloads = select(stripe_events.c.stripe_event_id, stripe_events.c.payload)
    found = await tx.execute(payloads.where(stripe_events.c.stripe_event_id.in_(list(claimed))))
    due = [_forward(claimed[row.stripe_event_id], row.payload) for row in found]
    return sorted(due, key=lambda forward: forward.create_time)


async def settle_forward(tx: AsyncConnection, forward: DueForward, values: dict[str, Any]) -> None:
    """Write how a delivery ended; one that was claimed anew meanwhile is that claim's."""
    await tx.execute(_claimed(forward).values({"lease_expire_time": None, **values}))


async def postpone_forward(tx: AsyncConnection, forward: DueForward, delay_seconds: float, error: str) -> None:
    """Try a delivery again later, by the database's clock."""
    later = {"next_attempt_time": database_now_plus(delay_seconds), "last_error": error}
    await settle_forward(tx, forward, later)


def _forward(row: Any, payload: bytes) -> DueForward:  # noqa: ANN401  # a row of the table
    return DueForward(
        row["stripe_event_id"], row["url"], row["attempts"], row["claim_epoch"], row["create_time"], payload
    )


def _claimed(forward: DueForward) -> Any:  # noqa: ANN401  # an SQL statement
    return update(event_forwards).where(
        event_forwards.c.stripe_event_id == forward.stripe_event_id,
        event_forwards.c.url == forward.url,
        event_forwards.c.claim_epoch == forward.claim_epoch,
    )


def _due() -> list[ColumnElement[bool]]:
    return [
        event_forwards.c.state == PENDING,
        or_(event_forwards.c.next_attempt_time.is_(None), event_forwards.c.next_attempt_time <= database_now()),
        or_(event_forwards.c.lease_expire_time.is_(None), event_forwards.c.lease_expire_time < database_now()),
    ]
