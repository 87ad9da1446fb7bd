"""SQL of the event log: writers append to the outbox, the sequencer moves rows to gap-free positions, readers page.

Why an outbox and not a serial column: reading by a sequence skips rows that commit late (reading/streams.md 3).
"""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Integer, RowMapping, bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from payments_service.storage.column_types import database_now
from payments_service.storage.dialects import insert_ignoring
from payments_service.storage.log_frames import cursor_bytes, event_tag, frame_event
from payments_service.storage.tables import event_log, event_log_head, event_outbox

SEQUENCE_BATCH = 250
"""Events a transaction: on SQLite, whose one writer this takes, some 8 ms."""
LOG_CHANNEL = "payments_event_log"
"""Where PostgreSQL tells that the log has grown; only a sequencer notifies, for those commits take turns."""
HEAD_COLUMNS = (event_log_head.c.log_id, event_log_head.c.position, event_log_head.c.trimmed_through)
_SEQUENCE = select(func.sequence_events(bindparam("most", type_=Integer)))
_STAGE = insert(event_outbox)
_OLDEST = select(event_outbox.c.id).order_by(event_outbox.c.id).limit(SEQUENCE_BATCH).scalar_subquery()
_TAKE = delete(event_outbox).where(event_outbox.c.id.in_(_OLDEST)).returning(event_outbox)
_HEAD_AND_TIMES = select(
    *HEAD_COLUMNS,
    database_now(),
    select(event_log.c.sequence_time).where(event_log.c.position == event_log_head.c.position).scalar_subquery(),
)
_LOG = insert(event_log)
_MOVE_HEAD = update(event_log_head)


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """One event, serialized once; `ordering_key` is the order's id, or the Stripe object's where there is no order."""

    event_id: str
    organization_id: str
    ordering_key: str
    order_version: int
    purchase_type: str
    type: int
    body: bytes
    occur_time: datetime


_OUTBOX_COLUMNS = tuple(column.name for column in fields(OutboxEvent))


class LogEntry(NamedTuple):
    """One event of the log, with what filters look at."""

    position: int
    event_id: str
    organization_id: str
    purchase_type: str
    type: int
    ordering_key: str
    body: bytes


class LogHead(NamedTuple):
    """Where the log stands: the last position, and up to which one entries were trimmed."""

    log_id: UUID
    position: int
    trimmed_through: int


async def create_head(tx: AsyncConnection, log_id: UUID) -> None:
    """Make the head row unless it is there."""
    row = {"one": 1, "log_id": log_id.hex, "position": 0, "trimmed_through": 0}
    await tx.execute(insert_ignoring(tx, event_log_head).values(row))


async def append_events(tx: AsyncConnection, events: list[OutboxEvent]) -> None:
    """Stage events in the transaction of their transition; call it after the order's row is locked."""
    if events:
        rows = [{name: getattr(event, name) for name in _OUTBOX_COLUMNS} for event in events]
        await tx.execute(_STAGE, rows)


async def sequence_events(writing: AsyncConnection) -> int:
    """Give positions to the oldest staged events, at most SEQUENCE_BATCH; returns how many.

    The head row's lock serializes sequencers; an aborted one leaves no gap because the head rolls back with it. On
    PostgreSQL this is one statement, a function of the schema, which also notifies LOG_CHANNEL, once a batch.
    """
    if writing.dialect.name == "postgresql":
        return int((await writing.execute(_SEQUENCE, {"most": SEQUENCE_BATCH})).scalar_one())
    return await _sequence_here(writing)


async def _sequence_here(tx: AsyncConnection) -> int:
    rows = sorted((await tx.execute(_TAKE)).mappings(), key=lambda row: row["id"])
    if not rows:
        return 0
    log, time = await _head_and_time(tx)
    placed = list(enumerate(rows, log.position + 1))
    await tx.execute(_LOG, [_logged(row, log.log_id, position, time) for position, row in placed])
    await tx.execute(_MOVE_HEAD, {"position": log.position + len(rows)})
    return len(rows)


def _logged(row: RowMapping, log_id: UUID, position: int, time: datetime) -> dict[str, Any]:
    kept = {name: value for name, value in row.items() if name not in ("id", "body")}
    frame = frame_event(row["body"], cursor_bytes(log_id, position, event_tag(row["event_id"])))
    return {**kept, "frame": frame, "position": position, "sequence_time": time}


async def has_staged_events(reading: AsyncConnection) -> bool:
    """Say whether anything waits for its position."""
    return (await reading.execute(select(event_outbox.c.id).limit(1))).first() is not None


async def read_head(reading: AsyncConnection) -> LogHead:
    """Read where the log stands."""
    log_id, position, trimmed = (await reading.execute(select(*HEAD_COLUMNS))).one()
    return LogHead(UUID(hex=log_id), position, trimmed)


async def read_event_id(reading: AsyncConnection, position: int) -> str | None:
    """Read which event stands at a position."""
    statement = select(event_log.c.event_id).where(event_log.c.position == position)
    return (await reading.execute(statement)).scalar_one_or_none()


async def read_head_and_event_id(reading: AsyncConnection, position: int) -> tuple[LogHead, str | None]:
    """Read where the log stands and which event stands at a position, in one statement: one snapshot."""
    event_id = select(event_log.c.event_id).where(event_log.c.position == position).scalar_subquery()
    log_id, head, trimmed, found = (await reading.execute(select(*HEAD_COLUMNS, event_id))).one()
    return LogHead(UUID(hex=log_id), head, trimmed), found


async def first_position_since(reading: AsyncConnection, time: datetime) -> int | None:
    """Find the first entry that was sequenced at a time or later."""
    order = (event_log.c.sequence_time, event_log.c.position)
    statement = select(event_log.c.position).where(event_log.c.sequence_time >= time).order_by(*order).limit(1)
    position: int | None = (await reading.execute(statement)).scalar_one_or_none()
    return position


async def _head_and_time(tx: AsyncConnection) -> tuple[LogHead, datetime]:
    """Give where the log stands and the database's time, but never one before the last entry's.

    By position, the log's time does not go back.
    """
    now: datetime
    newest: datetime | None
    log_id, position, trimmed, now, newest = (await tx.execute(_HEAD_AND_TIMES)).one()
    return LogHead(UUID(hex=log_id), position, trimmed), max(now, newest) if newest else now
