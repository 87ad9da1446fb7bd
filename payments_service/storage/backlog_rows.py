"""SQL of what waits, has failed or is parked, all in one snapshot, for whoever looks after an installation."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from payments_service.storage.column_types import database_now
from payments_service.storage.exception_rows import PARKED
from payments_service.storage.fulfillment_rows import count_fulfillments
from payments_service.storage.inbox_rows import InboxCounts, count_events
from payments_service.storage.lease_rows import DutyLease, list_duties
from payments_service.storage.reconcile_rows import last_reconcile_time
from payments_service.storage.tables import event_outbox, subscriber_exceptions


class Backlog(NamedTuple):
    """What waits, and since when by the database's clock."""

    events: InboxCounts
    fulfillments: dict[int, int]
    parked: dict[str, int]
    """How many events of each subscriber."""
    outbox_age: timedelta | None
    """How long the oldest event waits to be put into the log."""
    duties: list[DutyLease]
    reconcile_time: datetime | None
    now: datetime


async def read_backlog(reading: AsyncConnection, pending_state: int) -> Backlog:
    """Read it; counting takes as long as the inbox is large."""
    now: datetime = (await reading.execute(select(database_now()))).scalar_one()
    oldest: datetime | None = (await reading.execute(select(func.min(event_outbox.c.occur_time)))).scalar_one()
    return Backlog(
        events=await count_events(reading, [pending_state]),
        fulfillments=await count_fulfillments(reading),
        parked=await _count_parked(reading),
        outbox_age=None if oldest is None else now - oldest,
        duties=await list_duties(reading),
        reconcile_time=await last_reconcile_time(reading),
        now=now,
    )


async def _count_parked(reading: AsyncConnection) -> dict[str, int]:
    columns = subscriber_exceptions.c
    statement = (
        select(columns.subscriber, func.count())
        .where(columns.state == PARKED)
        .group_by(columns.subscriber)
        .order_by(columns.subscriber)
    )
    return {row[0]: row[1] for row in await reading.execute(statement)}
