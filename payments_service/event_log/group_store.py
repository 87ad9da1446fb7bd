"""The durable side of one session: each step is one transaction, run to its end whoever cancels its caller.

What it does not give back as held is another member's; it decides nothing of what is delivered.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar
from uuid import UUID

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent
from payments_service.errors import MemberReplacedError, SubscriberNotFoundError
from payments_service.event_log.consumer_turn import Turn
from payments_service.event_log.delivery_bytes import event_body
from payments_service.event_log.response_bytes import FramedEvent, frame_entries
from payments_service.storage.database import Connection, Database
from payments_service.storage.exception_rows import (
    WaitingRow,
    count_attempts,
    list_waiting,
    put_aside,
    set_again,
    take_out,
)
from payments_service.storage.log_rows import LogEntry, LogHead, read_head
from payments_service.storage.shard_rows import (
    ClaimedShard,
    Membership,
    Survey,
    claim_shards,
    find_session,
    join_group,
    leave_group,
    release_shards,
    renew_leases,
    renew_member,
    resign,
    survey_group,
    write_places,
)

T = TypeVar("T")


class GroupStore:
    """One session's transactions."""

    def __init__(self, database: Database, membership: Membership) -> None:
        """Take whose they are."""
        self._database = database
        self._me = membership

    async def join(self) -> None:
        """Be a member, also in the place of an earlier session; raises SubscriberNotFoundError."""
        if not await self._run(lambda tx: join_group(tx, self._me)):
            raise not_found(self._me.subscriber)

    async def survey(self) -> Survey:
        """Look at the group; raises SubscriberNotFoundError where it is gone."""
        survey = await uninterrupted(self._survey())
        if survey is None or survey.made != self._me.made:
            raise not_found(self._me.subscriber)
        return survey

    async def claim(self, wanted: Sequence[int]) -> list[ClaimedShard]:
        """Take free shards."""
        return await self._run(lambda tx: claim_shards(tx, self._me, wanted))

    async def waiting(self, shards: Sequence[int]) -> tuple[LogHead, list[WaitingRow]]:
        """List what is aside in shards, and how the log stands."""
        return await uninterrupted(self._waiting(shards))

    async def renew(self) -> dict[int, int]:
        """Hold on to what is held: shard to epoch; raises MemberReplacedError."""
        me = self._me

        async def work(tx: Connection) -> dict[int, int] | None:
            if await renew_member(tx, me):
                return await renew_leases(tx, me)
            if (await find_session(tx, me)) is not None:
                raise member_replaced(me.member_id)
            return None

        held = await self._run(work)
        if held is None:
            await self.join()
            return await self.renew()
        return held

    async def renew_shards(self) -> dict[int, int]:
        """Hold on to what is held without being a member: shard to epoch."""
        return await self._run(lambda tx: renew_leases(tx, self._me))

    async def commit(self, turn: Turn, log_id: UUID) -> dict[int, FramedEvent]:
        """Make a turn durable for the shards that are still held, and mark in it what was lost.

        Gives, by position, what is handed out from the table of exceptions.
        """

        async def work(tx: Connection) -> tuple[set[int], list[LogEntry]]:
            held = await write_places(tx, self._me, turn.places)
            return held, await self._write(tx, turn, held)

        held, again = await self._run(work) if turn.places else (set(), [])
        turn.lose(turn.places.keys() - held)
        return {event.position: event for event in frame_entries(log_id, again)}

    async def release(self, shards: Sequence[int]) -> None:
        """Let some shards go."""
        await self._run(lambda tx: release_shards(tx, self._me, shards))

    async def resign(self) -> None:
        """Be a member no more, and hold what is held until it is released."""
        await self._run(lambda tx: resign(tx, self._me))

    async def leave(self) -> None:
        """Be a member no more, and hold nothing."""
        await self._run(lambda tx: leave_group(tx, self._me))

    async def _write(self, tx: Connection, turn: Turn, held: set[int]) -> list[LogEntry]:
        subscriber = self._me.subscriber
        fresh = [(setting, _entry(event)) for setting, event in turn.put_aside if setting.shard in held]
        await put_aside(tx, subscriber, fresh)
        await set_again(tx, subscriber, [setting for setting in turn.set_again if setting.shard in held])
        await take_out(tx, subscriber, [position for shard, position in turn.taken_out if shard in held])
        again = [out.event.position for out in turn.handed_out if out.is_aside and out.shard in held]
        return await count_attempts(tx, subscriber, again)

    async def _survey(self) -> Survey | None:
        async with self._database.reading() as reading:
            return await survey_group(reading, self._me.subscriber)

    async def _waiting(self, shards: Sequence[int]) -> tuple[LogHead, list[WaitingRow]]:
        async with self._database.reading() as reading:
            return await read_head(reading), await list_waiting(reading, self._me.subscriber, shards)

    async def _run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        return await uninterrupted(self._database.run(work))


def not_found(subscriber: str) -> SubscriberNotFoundError:
    """Make the error for a subscriber that is not there, for this caller."""
    message = f"There is no subscriber {subscriber!r}: its owner makes it, once, by Operations/CreateSubscriber."
    return SubscriberNotFoundError(message, subscriber=subscriber)


def member_replaced(member_id: str) -> MemberReplacedError:
    """Make the error of a session in whose place another one of its member has come."""
    return MemberReplacedError(
        f"Another session of the member {member_id!r} was opened: a member has one at a time.", member_id=member_id
    )


async def uninterrupted(step: Awaitable[T]) -> T:
    """Put off a cancellation until a step is done: a transaction that is cut off takes its connection with it."""
    task = asyncio.ensure_future(step)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise


def _entry(event: FramedEvent) -> LogEntry:
    body = event_body(event)
    return LogEntry(
        event.position,
        FulfillmentEvent.FromString(body).event_id,
        event.organization_id,
        event.purchase_type,
        event.type,
        event.ordering_key,
        body,
    )
