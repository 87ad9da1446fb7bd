"""SQL of an order's timeline: what people and programs did to it that no other row tells."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from payments_service.storage.tables import event_log, timeline


class TimelineRow(NamedTuple):
    """One line of an order's story; the stages are the contract's."""

    time: datetime
    stage: str
    summary: str
    reference: str


class LoggedEvent(NamedTuple):
    """One event of the log, as the story needs it."""

    time: datetime
    position: int
    type: int
    event_id: str


_INSERT = insert(timeline)


async def add_timeline_row(tx: AsyncConnection, order_id: str, row: TimelineRow) -> None:
    """Note what was done, in the transaction that does it."""
    await tx.execute(_INSERT, {"order_id": order_id, **row._asdict()})


async def list_timeline(reading: AsyncConnection, order_id: str) -> list[TimelineRow]:
    """List an order's lines in the order in which they were written."""
    columns = (timeline.c.time, timeline.c.stage, timeline.c.summary, timeline.c.reference)
    statement = select(*columns).where(timeline.c.order_id == order_id).order_by(timeline.c.id)
    return [TimelineRow._make(row) for row in await reading.execute(statement)]


async def list_logged_events(reading: AsyncConnection, order_id: str) -> list[LoggedEvent]:
    """List what the log tells of an order."""
    columns = (event_log.c.occur_time, event_log.c.position, event_log.c.type, event_log.c.event_id)
    statement = select(*columns).where(event_log.c.ordering_key == order_id).order_by(event_log.c.position)
    return [LoggedEvent._make(row) for row in await reading.execute(statement)]
