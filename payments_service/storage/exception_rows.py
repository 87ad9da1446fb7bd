"""SQL of what a subscriber's members could not do: put aside with its body, for no floor to wait nor trim to lose it.

RETRY comes again, BLOCKED waits behind an earlier event of its order, PARKED waits for an operator.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from payments_service.scope import Scope
from payments_service.storage.column_types import database_now, database_now_plus
from payments_service.storage.dialects import upsert
from payments_service.storage.log_rows import LogEntry
from payments_service.storage.tables import subscriber_exceptions

RETRY, BLOCKED, PARKED = "RETRY", "BLOCKED", "PARKED"
_columns = subscriber_exceptions.c
_ENTRY = (
    _columns.position,
    _columns.event_id,
    _columns.organization_id,
    _columns.purchase_type,
    _columns.type,
    _columns.ordering_key,
    _columns.body,
)


class Setting(NamedTuple):
    """How an event is put aside, anew or again."""

    shard: int
    position: int
    state: str
    attempts: int
    delay_seconds: float
    reason: str


class WaitingRow(NamedTuple):
    """An event that is aside and not parked, without its body."""

    position: int
    shard: int
    ordering_key: str
    organization_id: str
    purchase_type: str
    type: int
    attempts: int
    body_bytes: int
    due: datetime | None
    now: datetime


class Visible(NamedTuple):
    """Which of the events that a subscriber has aside somebody may see."""

    subscriber: str
    scope: Scope
    unclaimed: int
    """The type that is no purchase, of which purchase types say nothing."""


class ParkedRow(NamedTuple):
    """An event that is parked."""

    entry: LogEntry
    attempts: int
    reason: str
    park_time: datetime


async def put_aside(tx: AsyncConnection, subscriber: str, events: Iterable[tuple[Setting, LogEntry]]) -> None:
    """Put events of the log aside; one that is there from before a seek is written over."""
    for setting, entry in events:
        values = {
            "subscriber": subscriber,
            **entry._asdict(),
            "shard": setting.shard,
            "attempts": setting.attempts,
            **_waiting(setting),
        }
        statement = upsert(tx, subscriber_exceptions).values(values)
        keys = (_columns.subscriber, _columns.position)
        changes = {name: values[name] for name in ("state", "attempts", "not_before", "reason", "park_time")}
        await tx.execute(statement.on_conflict_do_update(index_elements=keys, set_=changes))


async def set_again(tx: AsyncConnection, subscriber: str, settings: Iterable[Setting]) -> None:
    """Postpone or park what is aside already."""
    for setting in settings:
        mine = _of(subscriber, [setting.position])
        await tx.execute(update(subscriber_exceptions).where(mine).values(_waiting(setting)))


async def take_out(tx: AsyncConnection, subscriber: str, positions: Sequence[int]) -> None:
    """Let go of what is done at last."""
    if positions:
        await tx.execute(delete(subscriber_exceptions).where(_of(subscriber, positions)))


async def count_attempts(tx: AsyncConnection, subscriber: str, positions: Sequence[int]) -> list[LogEntry]:
    """Count one more attempt for what is about to be handed out again, and give it."""
    if not positions:
        return []
    statement = (
        update(subscriber_exceptions)
        .where(_of(subscriber, positions))
        .values(attempts=_columns.attempts + 1, state=RETRY, not_before=None)
        .returning(*_ENTRY)
    )
    return [LogEntry(*row) for row in await tx.execute(statement)]


async def list_waiting(reading: AsyncConnection, subscriber: str, shards: Sequence[int]) -> list[WaitingRow]:
    """List what is aside in some shards and not parked, in the order of the log."""
    statement = (
        select(
            _columns.position,
            _columns.shard,
            _columns.ordering_key,
            _columns.organization_id,
            _columns.purchase_type,
            _columns.type,
            _columns.attempts,
            func.length(_columns.body),
            _columns.not_before,
            database_now(),
        )
        .where(_columns.subscriber == subscriber, _columns.shard.in_(shards), _columns.state != PARKED)
        .order_by(_columns.position)
    )
    return [WaitingRow(*row) for row in await reading.execute(statement)]


async def list_parked(
    reading: AsyncConnection, visible: Visible, after: tuple[datetime, int] | None, limit: int
) -> list[ParkedRow]:
    """List what is parked and may be seen, the last parked first."""
    order = (_columns.park_time.desc(), _columns.position.desc())
    statement = (
        select(*_ENTRY, _columns.attempts, _columns.reason, _columns.park_time)
        .where(*_parked(visible))
        .order_by(*order)
        .limit(limit)
    )
    if after is not None:
        time, position = after
        later = or_(_columns.park_time < time, and_(_columns.park_time == time, _columns.position < position))
        statement = statement.where(later)
    return [
        ParkedRow(LogEntry(*entry), attempts, reason, park_time)
        for *entry, attempts, reason, park_time in await reading.execute(statement)
    ]


async def replay_parked(tx: AsyncConnection, visible: Visible, event_ids: Sequence[str]) -> int:
    """Let parked events that may be seen come again with a fresh budget, some or all; says how many."""
    statement = (
        update(subscriber_exceptions)
        .where(*_parked(visible))
        .values(state=RETRY, attempts=0, not_before=None, park_time=None)
    )
    if event_ids:
        statement = statement.where(_columns.event_id.in_(event_ids))
    return int((await tx.execute(statement)).rowcount)


def _of(subscriber: str, positions: Sequence[int]) -> ColumnElement[bool]:
    return and_(_columns.subscriber == subscriber, _columns.position.in_(positions))


def _waiting(setting: Setting) -> dict[str, Any]:
    parked = setting.state == PARKED
    later = database_now_plus(setting.delay_seconds) if setting.delay_seconds > 0 and not parked else None
    return {
        "state": setting.state,
        "not_before": later,
        "reason": setting.reason,
        "park_time": database_now() if parked else None,
    }


def _parked(visible: Visible) -> Iterable[ColumnElement[bool]]:
    yield _columns.subscriber == visible.subscriber
    yield _columns.state == PARKED
    scope = visible.scope
    if scope.organizations is not None:
        yield _columns.organization_id.in_(sorted(scope.organizations))
    if scope.purchase_types is not None:
        yield or_(_columns.purchase_type.in_(sorted(scope.purchase_types)), _columns.type == visible.unclaimed)
