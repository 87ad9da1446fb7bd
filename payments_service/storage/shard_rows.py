"""SQL of a subscriber's members and shards: who holds which part, by the database's clock, fenced by an epoch.

What a holder writes goes in a transaction that begins with `write_places`: what that does not give back is another's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, case, delete, exists, literal, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from payments_service.storage.column_types import database_now, database_now_plus
from payments_service.storage.dialects import upsert
from payments_service.storage.tables import subscriber_members, subscriber_shards, subscribers

_shards, _members = subscriber_shards.c, subscriber_members.c


@dataclass(frozen=True, slots=True)
class Membership:
    """Which session of which member of which subscriber."""

    subscriber: str
    made: datetime
    """When the subscriber was: one that was made since under its name is another."""
    member_id: str
    session_id: str
    lease_seconds: float


class Place(NamedTuple):
    """What a holder writes of a shard: its floor, what is acknowledged beyond it, and what was sent."""

    epoch: int
    acked_through: int
    acked_ahead: bytes
    sent_through: int


class ClaimedShard(NamedTuple):
    """A shard that has just come to a session, as the holder before left it."""

    shard: int
    epoch: int
    acked_through: int
    acked_ahead: bytes
    sent_through: int


class ShardLease(NamedTuple):
    """Who holds a shard; one whose lease has run out is free."""

    shard: int
    holder: str
    is_free: bool


class Survey(NamedTuple):
    """How a subscriber stands, for a session that looks around."""

    made: datetime
    revision: int
    members: dict[str, str]
    """Of the live ones: member id to session id."""
    shards: list[ShardLease]


async def join_group(tx: AsyncConnection, me: Membership) -> bool:
    """Be a member; an earlier session of the same member id loses its shards. False where the subscriber is gone."""
    same = select(subscribers.c.subscriber).where(*_is_same(me))
    if (await tx.execute(same.with_for_update(read=True, key_share=True))).first() is None:
        return False
    before = await find_session(tx, me, lock=True)
    if before is not None and before != me.session_id:
        await _free(tx, me.subscriber, before)
    await tx.execute(delete(subscriber_members).where(_members.subscriber == me.subscriber, _has_run_out()))
    values = {"session_id": me.session_id, "expire_time": database_now_plus(me.lease_seconds)}
    row = {"subscriber": me.subscriber, "member_id": me.member_id, **values}
    statement = upsert(tx, subscriber_members).values(row)
    await tx.execute(statement.on_conflict_do_update(index_elements=["subscriber", "member_id"], set_=values))
    return True


async def find_session(reading: AsyncConnection, me: Membership, *, lock: bool = False) -> str | None:
    """Find which session the member's is."""
    statement = select(_members.session_id).where(
        _members.subscriber == me.subscriber, _members.member_id == me.member_id
    )
    found = await reading.execute(statement.with_for_update() if lock else statement)
    session_id: str | None = found.scalar_one_or_none()
    return session_id


async def survey_group(reading: AsyncConnection, subscriber: str) -> Survey | None:
    """Look at the whole group; None where the subscriber is gone."""
    columns = subscribers.c
    row = select(columns.create_time, columns.revision).where(columns.subscriber == subscriber)
    found = (await reading.execute(row)).first()
    if found is None:
        return None
    live = select(_members.member_id, _members.session_id).where(
        _members.subscriber == subscriber, _members.expire_time > database_now()
    )
    members = {str(member_id): session_id for member_id, session_id in await reading.execute(live)}
    leases = select(_shards.shard, _shards.holder, case((_is_free(), 1), else_=0)).where(
        _shards.subscriber == subscriber
    )
    shards = [ShardLease(shard, holder, bool(free)) for shard, holder, free in await reading.execute(leases)]
    return Survey(found.create_time, found.revision, members, shards)


async def claim_shards(tx: AsyncConnection, me: Membership, wanted: Sequence[int]) -> list[ClaimedShard]:
    """Take those of the wanted shards that are free, each under a new epoch; none of a subscriber made since."""
    is_same = exists().where(*_is_same(me))
    free = (
        select(_shards.shard)
        .where(_shards.subscriber == me.subscriber, _shards.shard.in_(wanted), _is_free(), is_same)
        .order_by(_shards.shard)
        .with_for_update(skip_locked=True)
    )
    shards = list((await tx.execute(free)).scalars())
    if not shards:
        return []
    statement = (
        update(subscriber_shards)
        .where(_shards.subscriber == me.subscriber, _shards.shard.in_(shards))
        .values(holder=me.session_id, epoch=_shards.epoch + 1, expire_time=database_now_plus(me.lease_seconds))
        .returning(_shards.shard, _shards.epoch, _shards.acked_through, _shards.acked_ahead, _shards.sent_through)
    )
    return [ClaimedShard._make(row) for row in await tx.execute(statement)]


async def renew_member(tx: AsyncConnection, me: Membership) -> bool:
    """Go on as a member; False where its member id is another session's, or gone."""
    later = {"expire_time": database_now_plus(me.lease_seconds)}
    member = update(subscriber_members).where(*_is_mine(me)).values(later)
    return (await tx.execute(member.returning(_members.session_id))).first() is not None


async def renew_leases(tx: AsyncConnection, me: Membership) -> dict[int, int]:
    """Hold on to all that a session has: shard to epoch."""
    later = {"expire_time": database_now_plus(me.lease_seconds)}
    held = update(subscriber_shards).where(*_are_held(me)).values(later)
    return {int(shard): epoch for shard, epoch in await tx.execute(held.returning(_shards.shard, _shards.epoch))}


async def write_places(tx: AsyncConnection, me: Membership, places: Mapping[int, Place]) -> set[int]:
    """Write how far shards have come; gives those that are still the session's, the others are left as they are."""
    keys = [(shard, place.epoch) for shard, place in sorted(places.items())]

    def of(name: str) -> ColumnElement[object]:
        whens = {shard: literal(getattr(place, name), _shards[name].type) for shard, place in places.items()}
        return case(whens, value=_shards.shard)

    statement = (
        update(subscriber_shards)
        .where(*_are_held(me), tuple_(_shards.shard, _shards.epoch).in_(keys))
        .values({name: of(name) for name in ("acked_through", "acked_ahead", "sent_through")})
        .returning(_shards.shard)
    )
    return set((await tx.execute(statement)).scalars())


async def release_shards(tx: AsyncConnection, me: Membership, shards: Sequence[int]) -> None:
    """Let some shards go."""
    statement = update(subscriber_shards).where(*_are_held(me), _shards.shard.in_(shards))
    await tx.execute(statement.values(holder="", expire_time=None))


async def resign(tx: AsyncConnection, me: Membership) -> None:
    """Be a member no more, and hold what is held."""
    await tx.execute(delete(subscriber_members).where(*_is_mine(me)))


async def leave_group(tx: AsyncConnection, me: Membership) -> None:
    """Be a member no more, and hold nothing."""
    await resign(tx, me)
    await _free(tx, me.subscriber, me.session_id)


async def _free(tx: AsyncConnection, subscriber: str, session_id: str) -> None:
    held = (_shards.subscriber == subscriber, _shards.holder == session_id)
    await tx.execute(update(subscriber_shards).where(*held).values(holder="", expire_time=None))


def _is_same(me: Membership) -> tuple[ColumnElement[bool], ...]:
    return subscribers.c.subscriber == me.subscriber, subscribers.c.create_time == me.made


def _is_mine(me: Membership) -> tuple[ColumnElement[bool], ...]:
    return (
        _members.subscriber == me.subscriber,
        _members.member_id == me.member_id,
        _members.session_id == me.session_id,
    )


def _are_held(me: Membership) -> tuple[ColumnElement[bool], ...]:
    return _shards.subscriber == me.subscriber, _shards.holder == me.session_id


def _is_free() -> ColumnElement[bool]:
    return or_(_shards.holder == "", _shards.expire_time.is_(None), _shards.expire_time < database_now())


def _has_run_out() -> ColumnElement[bool]:
    return or_(_members.expire_time.is_(None), _members.expire_time < database_now())
