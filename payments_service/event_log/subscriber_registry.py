"""Makes, lists, moves and deletes durable subscribers and brings parked events back, for owners and operators."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import (
    FulfillmentEvent,
    FulfillmentFilter,
    StartPosition,
)
from payments_service.contract.pb.payments.v1.subscriber_pb2 import Subscriber
from payments_service.errors import FieldViolation, InvalidRequestError, SubscriberExistsError
from payments_service.event_log.cursor import cursor_at, encode_cursor
from payments_service.event_log.group_store import not_found
from payments_service.event_log.shard_assignment import shard_of
from payments_service.event_log.shard_floor import decode_positions
from payments_service.event_log.start_position import find_start
from payments_service.event_log.stream_filter import UNCLAIMED, filter_violations, stream_filter
from payments_service.event_log.subscriber_rights import may_do_all, require_mine
from payments_service.scope import Caller
from payments_service.storage.database import Connection, Database
from payments_service.storage.exception_rows import ParkedRow, Visible, list_parked, replay_parked
from payments_service.storage.log_rows import LogHead, read_head
from payments_service.storage.subscriber_rows import (
    EventConditions,
    ShardPlace,
    SubscriberRow,
    count_events_after,
    count_exceptions,
    count_members,
    delete_subscriber,
    find_subscriber,
    insert_subscriber,
    list_keys_between,
    list_subscribers,
    move_subscriber,
    read_places,
    touch_subscriber,
)

DEFAULT_SHARDS, MOST_SHARDS = 32, 1024
DEFAULT_ATTEMPTS, MOST_ATTEMPTS = 10, 1000
NAME_LENGTH = 200
AHEAD_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class SubscriberStanding:
    """A subscriber and how it stands."""

    row: SubscriberRow
    backlog: int
    parked: int
    members: int
    has_lost_data: bool


class SubscriberRegistry:
    """What the subscriber methods of Operations do."""

    def __init__(self, database: Database, clock: Callable[[], datetime], tell: Callable[[str], None]) -> None:
        """Take who lets the members in this process notice a change; those elsewhere notice within seconds."""
        self._database = database
        self._clock = clock
        self._tell = tell

    async def create(self, asked: Subscriber, start: StartPosition, caller: Caller) -> SubscriberStanding:
        """Make a subscriber that is its caller's; raises SubscriberExistsError, and a start's errors."""
        violations = list(_violations(asked))
        if violations:
            raise InvalidRequestError(violations)
        stream_filter(asked.filter, caller.scope)
        begin = await find_start(self._database, start, AHEAD_SECONDS)
        row = SubscriberRow(
            asked.subscriber,
            caller.name,
            asked.filter.SerializeToString(),
            caller.scope,
            asked.shard_count or DEFAULT_SHARDS,
            asked.max_attempts or DEFAULT_ATTEMPTS,
            self._clock(),
        )
        async with self._database.transaction() as tx:
            if not await insert_subscriber(tx, row, begin.cursor.position):
                raise SubscriberExistsError(
                    f"The name {row.subscriber!r} is taken: choose another, or delete that subscriber.",
                    subscriber=row.subscriber,
                )
        return await self.find(row.subscriber, caller)

    async def find(self, name: str, caller: Caller) -> SubscriberStanding:
        """Find one of the caller's subscribers; raises SubscriberNotFoundError."""
        async with self._database.reading() as reading:
            row = await _mine(reading, name, caller)
            return (await _standings(reading, [row]))[0]

    async def list_all(self, caller: Caller, after: str | None, limit: int) -> list[SubscriberStanding]:
        """List the caller's subscribers by name; operators see all."""
        owner = None if may_do_all(caller) else caller.name
        async with self._database.reading() as reading:
            return await _standings(reading, await list_subscribers(reading, owner, after, limit))

    async def delete(self, name: str, caller: Caller) -> None:
        """Delete a subscriber; its members are cut off."""
        async with self._database.transaction() as tx:
            await _mine(tx, name, caller, lock=True)
            await delete_subscriber(tx, name)
        self._tell(name)

    async def seek(self, name: str, target: StartPosition, caller: Caller) -> SubscriberStanding:
        """Move a subscriber; its members lose their shards and get them back at the new place."""
        await self.find(name, caller)
        begin = await find_start(self._database, target, AHEAD_SECONDS)
        async with self._database.transaction() as tx:
            await _mine(tx, name, caller, lock=True)
            await move_subscriber(tx, name, begin.cursor.position)
        self._tell(name)
        return await self.find(name, caller)

    async def list_parked(
        self, name: str, caller: Caller, after: tuple[datetime, int] | None, limit: int
    ) -> tuple[list[ParkedRow], UUID]:
        """List what is parked and within the caller's scope, the last parked first."""
        async with self._database.reading() as reading:
            row = await _mine(reading, name, caller)
            rows = await list_parked(reading, _visible(row, caller), after, limit)
            return rows, (await read_head(reading)).log_id

    async def replay_parked(self, name: str, event_ids: Sequence[str], caller: Caller) -> int:
        """Let parked events come again, with a fresh budget of attempts."""
        async with self._database.transaction() as tx:
            row = await _mine(tx, name, caller, lock=True)
            replayed = await replay_parked(tx, _visible(row, caller), event_ids)
            await touch_subscriber(tx, name)
        self._tell(name)
        return replayed


def _visible(row: SubscriberRow, caller: Caller) -> Visible:
    return Visible(row.subscriber, row.scope.within(caller.scope), UNCLAIMED)


async def _mine(connection: Connection, name: str, caller: Caller, *, lock: bool = False) -> SubscriberRow:
    row = await find_subscriber(connection, name, lock=lock)
    if row is None:
        raise not_found(name)
    require_mine(row, caller)
    return row


async def _standings(reading: Connection, rows: Sequence[SubscriberRow]) -> list[SubscriberStanding]:
    names = [row.subscriber for row in rows]
    places, members = await read_places(reading, names), await count_members(reading, names)
    exceptions, head = await count_exceptions(reading, names), await read_head(reading)
    return [
        SubscriberStanding(
            row,
            await _backlog(reading, row, places[row.subscriber], head) + exceptions.get(row.subscriber, (0, 0))[0],
            exceptions.get(row.subscriber, (0, 0))[1],
            members.get(row.subscriber, 0),
            min(place.acked_through for place in places[row.subscriber]) < head.trimmed_through,
        )
        for row in rows
    ]


async def _backlog(reading: Connection, row: SubscriberRow, places: Sequence[ShardPlace], head: LogHead) -> int:
    """Count what is for the subscriber behind the floors: beyond the highest of them all, below it by shard."""
    floors = {place.shard: place.acked_through for place in places}
    lowest, highest = min(floors.values()), max(floors.values())
    conditions = _conditions(row)
    count = await count_events_after(reading, conditions, highest) if highest < head.position else 0
    if lowest < highest:
        between = await list_keys_between(reading, conditions, lowest, highest)
        count += sum(1 for position, key in between if position > floors[shard_of(key, row.shard_count)])
    return count - sum(len(decode_positions(place.acked_through, place.acked_ahead)) for place in places)


def _conditions(row: SubscriberRow) -> EventConditions:
    """Say in a query's words what `stream_filter` says of an event."""
    requested, scope = FulfillmentFilter.FromString(row.filter), row.scope
    return EventConditions(
        organizations=frozenset(requested.organization_ids) or scope.organizations,
        purchase_types=frozenset(requested.purchase_types) or scope.purchase_types,
        any_purchase_unclaimed=not requested.purchase_types,
        types=frozenset(requested.types) or None,
        orders=frozenset(requested.order_ids) or None,
        unclaimed=UNCLAIMED,
    )


def _violations(asked: Subscriber) -> Iterator[FieldViolation]:
    if not asked.subscriber.strip():
        yield FieldViolation("subscriber.subscriber", "is required: a name, such as course-service")
    if len(asked.subscriber) > NAME_LENGTH:
        yield FieldViolation("subscriber.subscriber", f"is longer than {NAME_LENGTH} characters")
    if not 0 <= asked.shard_count <= MOST_SHARDS:
        yield FieldViolation("subscriber.shard_count", f"must be between 1 and {MOST_SHARDS}; leave it out for 32")
    if not 0 <= asked.max_attempts <= MOST_ATTEMPTS:
        yield FieldViolation("subscriber.max_attempts", f"must be between 1 and {MOST_ATTEMPTS}; leave it out for 10")
    for violation in filter_violations(asked.filter):
        yield FieldViolation(f"subscriber.{violation.field}", violation.description)


def parked_event(row: ParkedRow, log_id: UUID) -> FulfillmentEvent:
    """Read a parked event's body, and say where in the log it stands."""
    event = FulfillmentEvent.FromString(row.entry.body)
    event.cursor = encode_cursor(cursor_at(log_id, row.entry.position, row.entry.event_id))
    return event
