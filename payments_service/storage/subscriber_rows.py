"""SQL of durable subscribers as a whole: made, found, listed, moved in the log and deleted; not of their members."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, case, delete, func, insert, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from payments_service.scope import Scope
from payments_service.storage.column_types import database_now
from payments_service.storage.dialects import insert_ignoring
from payments_service.storage.exception_rows import PARKED
from payments_service.storage.tables import (
    event_log,
    subscriber_exceptions,
    subscriber_members,
    subscriber_shards,
    subscribers,
)


@dataclass(frozen=True, slots=True)
class SubscriberRow:
    """One subscriber, with the scope that its owner had when it made it."""

    subscriber: str
    owner: str
    filter: bytes
    scope: Scope
    shard_count: int
    max_attempts: int
    create_time: datetime


@dataclass(frozen=True, slots=True)
class ShardPlace:
    """How far one shard has come."""

    shard: int
    acked_through: int
    acked_ahead: bytes


async def insert_subscriber(tx: AsyncConnection, row: SubscriberRow, position: int) -> bool:
    """Make a subscriber whose shards all stand at a position; False where the name is taken."""
    values = {
        "subscriber": row.subscriber,
        "owner": row.owner,
        "filter": row.filter,
        "scope": _scope_value(row.scope),
        "shard_count": row.shard_count,
        "max_attempts": row.max_attempts,
        "create_time": row.create_time,
    }
    statement = insert_ignoring(tx, subscribers).values(values).returning(subscribers.c.subscriber)
    if (await tx.execute(statement)).first() is None:
        return False
    place = {"subscriber": row.subscriber, "acked_through": position, "acked_ahead": b"", "sent_through": position}
    await tx.execute(insert(subscriber_shards), [{**place, "shard": shard} for shard in range(row.shard_count)])
    return True


async def find_subscriber(reading: AsyncConnection, name: str, *, lock: bool = False) -> SubscriberRow | None:
    """Find a subscriber; locked, nobody else changes or deletes it until the transaction ends."""
    statement = select(subscribers).where(subscribers.c.subscriber == name)
    row = (await reading.execute(statement.with_for_update() if lock else statement)).mappings().first()
    return None if row is None else _subscriber(row)


async def list_subscribers(
    reading: AsyncConnection, owner: str | None, after: str | None, limit: int
) -> list[SubscriberRow]:
    """List subscribers by name, of one owner or of all."""
    statement = select(subscribers).order_by(subscribers.c.subscriber).limit(limit)
    if owner is not None:
        statement = statement.where(subscribers.c.owner == owner)
    if after is not None:
        statement = statement.where(subscribers.c.subscriber > after)
    return [_subscriber(row) for row in (await reading.execute(statement)).mappings()]


async def move_subscriber(tx: AsyncConnection, name: str, position: int) -> None:
    """Put all shards at a position under new epochs; what waited to be tried again goes, what is parked stays."""
    await tx.execute(
        update(subscriber_shards)
        .where(subscriber_shards.c.subscriber == name)
        .values(
            acked_through=position,
            acked_ahead=b"",
            sent_through=position,
            holder="",
            epoch=subscriber_shards.c.epoch + 1,
            expire_time=None,
        )
    )
    waiting = (subscriber_exceptions.c.subscriber == name, subscriber_exceptions.c.state != PARKED)
    await tx.execute(delete(subscriber_exceptions).where(*waiting))
    await touch_subscriber(tx, name)


async def touch_subscriber(tx: AsyncConnection, name: str) -> None:
    """Let the members notice that something was changed from outside."""
    await tx.execute(
        update(subscribers).where(subscribers.c.subscriber == name).values(revision=subscribers.c.revision + 1)
    )


async def delete_subscriber(tx: AsyncConnection, name: str) -> None:
    """Delete a subscriber with all that is known of it."""
    for table in (subscriber_shards, subscriber_members, subscriber_exceptions, subscribers):
        await tx.execute(delete(table).where(table.c.subscriber == name))


async def read_places(reading: AsyncConnection, names: Sequence[str]) -> dict[str, list[ShardPlace]]:
    """Read how far the shards of subscribers have come."""
    statement = select(
        subscriber_shards.c.subscriber,
        subscriber_shards.c.shard,
        subscriber_shards.c.acked_through,
        subscriber_shards.c.acked_ahead,
    ).where(subscriber_shards.c.subscriber.in_(names))
    places: dict[str, list[ShardPlace]] = {name: [] for name in names}
    for name, shard, through, ahead in await reading.execute(statement):
        places[name].append(ShardPlace(shard, through, ahead))
    return places


async def count_members(reading: AsyncConnection, names: Sequence[str]) -> dict[str, int]:
    """Count the live members of subscribers."""
    members = subscriber_members.c
    statement = (
        select(members.subscriber, func.count())
        .where(members.subscriber.in_(names), members.expire_time > database_now())
        .group_by(members.subscriber)
    )
    return {name: int(count) for name, count in await reading.execute(statement)}


async def count_exceptions(reading: AsyncConnection, names: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Count what waits to be tried again, and what is parked."""
    columns = subscriber_exceptions.c
    parked = func.sum(case((columns.state == PARKED, 1), else_=0))
    statement = (
        select(columns.subscriber, func.count() - parked, parked)
        .where(columns.subscriber.in_(names))
        .group_by(columns.subscriber)
    )
    return {name: (waiting, gone) for name, waiting, gone in await reading.execute(statement)}


@dataclass(frozen=True, slots=True)
class EventConditions:
    """What an event must be to be counted; None is anything."""

    organizations: frozenset[str] | None
    purchase_types: frozenset[str] | None
    any_purchase_unclaimed: bool
    """Whether events that are no purchase count whatever the purchase types say."""
    types: frozenset[int] | None
    orders: frozenset[str] | None
    unclaimed: int
    """The type that counts only where it is named."""


async def count_events_after(reading: AsyncConnection, conditions: EventConditions, position: int) -> int:
    """Count the events of the log after a position."""
    statement = select(func.count()).where(event_log.c.position > position, *_matching(conditions))
    return int((await reading.execute(statement)).scalar_one())


async def list_keys_between(
    reading: AsyncConnection, conditions: EventConditions, after: int, through: int
) -> list[tuple[int, str]]:
    """List the positions and ordering keys of the events of a part of the log."""
    statement = select(event_log.c.position, event_log.c.ordering_key).where(
        event_log.c.position > after, event_log.c.position <= through, *_matching(conditions)
    )
    return [(int(position), key) for position, key in await reading.execute(statement)]


def _matching(conditions: EventConditions) -> Iterator[ColumnElement[bool]]:
    columns, unclaimed = event_log.c, event_log.c.type == conditions.unclaimed
    yield ~unclaimed if conditions.types is None else columns.type.in_(sorted(conditions.types))
    if conditions.organizations is not None:
        yield columns.organization_id.in_(sorted(conditions.organizations))
    if conditions.purchase_types is not None:
        of_type = columns.purchase_type.in_(sorted(conditions.purchase_types))
        yield of_type | (unclaimed if conditions.any_purchase_unclaimed else ~true())
    if conditions.orders is not None:
        yield columns.ordering_key.in_(sorted(conditions.orders))


def _subscriber(row: Any) -> SubscriberRow:  # noqa: ANN401  # a row of the table
    return SubscriberRow(
        row["subscriber"],
        row["owner"],
        row["filter"],
        _scope(row["scope"]),
        row["shard_count"],
        row["max_attempts"],
        row["create_time"],
    )


def _scope_value(scope: Scope) -> dict[str, list[str] | None]:
    return {
        "organizations": None if scope.organizations is None else sorted(scope.organizations),
        "purchase_types": None if scope.purchase_types is None else sorted(scope.purchase_types),
    }


def _scope(value: dict[str, list[str] | None]) -> Scope:
    organizations, purchase_types = value["organizations"], value["purchase_types"]
    return Scope(
        organizations=None if organizations is None else frozenset(organizations),
        purchase_types=None if purchase_types is None else frozenset(purchase_types),
    )
