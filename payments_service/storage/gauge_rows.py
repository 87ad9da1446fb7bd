"""SQL of what an operator watches: what waits, what has failed and since when, each by a look that is bounded.

Nothing here counts further than MOST, so that a look costs the same on the day on which a million rows wait.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, func, literal, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from payments_service.storage.column_types import database_now
from payments_service.storage.exception_rows import PARKED
from payments_service.storage.log_rows import LogHead, read_head
from payments_service.storage.subscriber_rows import count_members
from payments_service.storage.tables import (
    UNFINISHED,
    duty_leases,
    event_log,
    event_outbox,
    fulfillments,
    reconcile_marks,
    stripe_events,
    subscriber_exceptions,
    subscriber_shards,
)

MOST = 10_000
MOST_NAMES = 100
"""Subscribers and duties beyond so many are not looked at."""


@dataclass(frozen=True, slots=True)
class Pile:
    """How many rows there are, at most MOST, and for how long the oldest of them has been there."""

    count: int
    oldest: timedelta


class DutyStanding(NamedTuple):
    """A duty's lease: its epoch, and what is left of it, nothing where nobody holds it."""

    name: str
    epoch: int
    left: timedelta


class SubscriberLag(NamedTuple):
    """How far a subscriber is behind the log, what it could not do, and who works for it."""

    subscriber: str
    positions: int
    oldest: timedelta
    """How long the first event that it has not passed over has been in the log."""
    retrying: int
    parked: int
    members: int
    has_lost_data: bool


class GaugeReadings(NamedTuple):
    """One look at all of it, from one snapshot."""

    events: dict[int, Pile]
    fulfillments: dict[int, Pile]
    outbox: Pile
    head: LogHead
    duties: list[DutyStanding]
    reconcile_time: datetime | None
    listed_until: datetime | None
    subscribers: list[SubscriberLag]


async def read_gauges(
    reading: AsyncConnection, event_states: Sequence[int], fulfillment_states: Sequence[int]
) -> GaugeReadings:
    """Look at everything that can wait."""
    now, reconciled, listed_until = (await reading.execute(_TIMES)).one()
    head = await read_head(reading)
    return GaugeReadings(
        events={state: await _pile(reading, _EVENTS, now, state=state) for state in event_states},
        fulfillments={
            state: await _pile(reading, UNFINISHED_FULFILLMENTS, now, state=state) for state in fulfillment_states
        },
        outbox=await _pile(reading, _OUTBOX, now),
        head=head,
        duties=[
            DutyStanding(name, epoch, _between(until, now)) for name, epoch, until in await reading.execute(_DUTIES)
        ],
        reconcile_time=reconciled,
        listed_until=listed_until,
        subscribers=await _lags(reading, head, now),
    )


def _piled(rows: Select[Any]) -> Select[int, Any]:
    some = rows.limit(MOST).subquery()
    return select(func.count(), func.min(some.c.since))


_TIMES = select(database_now(), func.min(reconcile_marks.c.last_run_time), func.min(reconcile_marks.c.listed_until))
_EVENTS = _piled(
    select(stripe_events.c.receive_time.label("since"))
    .where(stripe_events.c.state == bindparam("state"))
    .order_by(stripe_events.c.next_attempt_time)
)
UNFINISHED_FULFILLMENTS = _piled(
    select(fulfillments.c.create_time.label("since"))
    .where(text(UNFINISHED), fulfillments.c.state == bindparam("state"))
    .order_by(fulfillments.c.create_time)
)
_OUTBOX = _piled(select(event_outbox.c.occur_time.label("since")).order_by(event_outbox.c.id))
_DUTIES = (
    select(duty_leases.c.name, duty_leases.c.epoch, duty_leases.c.expire_time)
    .order_by(duty_leases.c.name)
    .limit(MOST_NAMES)
)
_FLOORS = (
    select(subscriber_shards.c.subscriber, func.min(subscriber_shards.c.acked_through))
    .group_by(subscriber_shards.c.subscriber)
    .order_by(subscriber_shards.c.subscriber)
    .limit(MOST_NAMES)
)
_ASIDE = (
    select(subscriber_exceptions.c.subscriber, subscriber_exceptions.c.state)
    .order_by(subscriber_exceptions.c.subscriber, subscriber_exceptions.c.state)
    .limit(MOST)
    .subquery()
)
_EXCEPTIONS = select(_ASIDE.c.subscriber, _ASIDE.c.state == literal(PARKED), func.count()).group_by(
    _ASIDE.c.subscriber, _ASIDE.c.state
)


async def _pile(reading: AsyncConnection, statement: Select[int, Any], now: datetime, **values: int) -> Pile:
    count, since = (await reading.execute(statement, values)).one()
    return Pile(count, _between(now, since))


async def _lags(reading: AsyncConnection, head: LogHead, now: datetime) -> list[SubscriberLag]:
    floors: dict[str, int] = dict((await reading.execute(_FLOORS)).all())
    if not floors:
        return []
    aside = {(name, parked): 0 for name in floors for parked in (True, False)}
    for name, parked, count in await reading.execute(_EXCEPTIONS):
        aside[name, bool(parked)] = aside.get((name, bool(parked)), 0) + count
    members = await count_members(reading, list(floors))
    times = await _log_times(reading, [floor + 1 for floor in floors.values()])
    return [
        SubscriberLag(
            subscriber=name,
            positions=head.position - floor,
            oldest=_between(now, times.get(floor + 1)),
            retrying=aside[name, False],
            parked=aside[name, True],
            members=members.get(name, 0),
            has_lost_data=floor < head.trimmed_through,
        )
        for name, floor in floors.items()
    ]


async def _log_times(reading: AsyncConnection, positions: Sequence[int]) -> dict[int, datetime]:
    statement = select(event_log.c.position, event_log.c.sequence_time).where(event_log.c.position.in_(positions))
    return dict((await reading.execute(statement)).all())


def _between(later: datetime | None, earlier: datetime | None) -> timedelta:
    """Give the time between two, none where one of them is missing or the order is not theirs."""
    return timedelta() if later is None or earlier is None else max(later - earlier, timedelta())
