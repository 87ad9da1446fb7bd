"""Runs a group of real sessions on a database by chance, while the log grows: members that fail, close, crash and hang.

A crash lets nothing go: its transactions fail from then on. A zombie's stand still for longer than its lease, before or
after they are committed, and then go on as if nothing had been.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from event_log.log_scene import UNCLAIMED, Scene, everyone, read_log, staged

from payments_service.contract.pb.payments.v1 import fulfillment_stream_pb2 as pb
from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import StartPosition
from payments_service.contract.pb.payments.v1.subscriber_pb2 import Subscriber
from payments_service.errors import PaymentsError, StorageUnavailableError
from payments_service.event_log.consumer_surroundings import ConsumerLimits
from payments_service.event_log.fulfillment_consumption import FulfillmentConsumers
from payments_service.event_log.group_store import GroupStore
from payments_service.event_log.subscriber_registry import SubscriberRegistry
from payments_service.scope import EVERYTHING
from payments_service.storage.database import Connection, Database
from payments_service.storage.exception_rows import Visible, list_parked
from payments_service.storage.shard_rows import Membership
from payments_service.storage.subscriber_rows import read_places

from .backlog_end import backlog_ends
from .group_checker import History, check

T = TypeVar("T")
NAME, SHARDS, MAX_ATTEMPTS, LEASE = "machine", 8, 5, 0.4
STALL = 15.0
MOST_BEHIND = 1000
LIMITS = ConsumerLimits(
    lease=LEASE, hold=LEASE, survey=0.1, impatient_survey=0.03, floors=0.1, gather=0.003, drain=0.3, age=float("inf")
)


class FragileStore(GroupStore):
    """Can be made to fail for ever, or to stand still."""

    is_dead = False

    def __init__(self, database: Database, membership: Membership) -> None:
        super().__init__(database, membership)
        self.moves = asyncio.Event()
        self.moves.set()

    async def _run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        await self._stand()
        result = await super()._run(work)
        await self._stand()
        return result

    async def _stand(self) -> None:
        await self.moves.wait()
        if self.is_dead:
            raise StorageUnavailableError("This process is dead.")


@dataclass
class RunningMember:
    """One member with its session."""

    store: FragileStore | None = None
    task: asyncio.Task[None] | None = None
    words: asyncio.Queue[pb.ConsumeFulfillmentsRequest | None] = field(default_factory=asyncio.Queue)
    is_closing: bool = False


class GroupMachine:
    """One story; `run` it, then `finish` it, which checks it."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self._scene = scene
        self._chance = random.Random(seed)  # noqa: S311
        self._history = History()
        self._poison: set[str] = set()
        self._wanted: set[str] = set()
        self._members: list[RunningMember] = []
        self._opening: RunningMember | None = None
        self._numbers = 0
        self._acked: set[bytes] = set()
        self.crashes = self.zombies = 0
        self._consumers = FulfillmentConsumers(
            scene.database, scene.tailer, now, limits=LIMITS, make_store=self._make_store
        )
        self._registry = SubscriberRegistry(scene.database, now, self._consumers.tell)

    def _make_store(self, database: Database, membership: Membership) -> FragileStore:
        store = FragileStore(database, membership)
        if self._opening is not None:
            self._opening.store = store
        return store

    async def run(self, seconds: float) -> None:
        """Let the log grow and the members come and go."""
        asked = Subscriber(subscriber=NAME, shard_count=SHARDS, max_attempts=MAX_ATTEMPTS)
        await self._registry.create(asked, StartPosition(earliest=True), everyone())
        end = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < end:
            await self._grow()
            await self._disturb()
            await self._look()
            await asyncio.sleep(0.02)

    async def finish(self) -> None:
        """Let one member do the rest; check the whole story."""
        for member in list(self._members):
            await self._crash(member)
        await self._open()
        await backlog_ends(self._registry, NAME, self._look, stall=STALL, pause=0.05)
        await self._close(self._members[0])
        await self._judge()

    async def _grow(self) -> None:
        events = []
        if self._numbers > len(self._history.effects) + MOST_BEHIND:
            return
        for _ in range(self._chance.randrange(40)):
            self._numbers += 1
            foreign = self._chance.random() < 0.1
            kind = {"event_type": UNCLAIMED} if foreign else {}
            events.append(staged(self._numbers, order=f"ord_{self._chance.randrange(200)}", **kind))  # type: ignore[arg-type]
            if not foreign:
                self._wanted.add(events[-1].event_id)
            if self._chance.random() < 0.01:
                self._poison.add(events[-1].event_id)
        await self._scene.stage(*events)

    async def _disturb(self) -> None:
        self._members = [member for member in self._members if member.task and not member.task.done()]
        roll = self._chance.random()
        if len(self._members) < 2 or (roll < 0.2 and len(self._members) < 4):
            await self._open()
        elif roll < 0.25:
            self.crashes += 1
            await self._crash(self._chance.choice(self._members))
        elif roll < 0.3:
            await self._close(self._chance.choice(self._members))
        elif roll < 0.5:
            self.zombies += 1
            self._freeze(self._chance.choice(self._members))

    async def _open(self) -> None:
        self._opening = member = RunningMember()
        member.words.put_nowait(
            pb.ConsumeFulfillmentsRequest(
                open=pb.OpenConsumer(
                    subscriber=NAME, member_id=f"m{len(self._history.floors)}", credit=self._chance.choice([3, 30])
                )
            )
        )
        responses = await self._consumers.open(_words(member), everyone)
        self._opening = None
        member.task = asyncio.create_task(self._consume(member, responses))
        self._members.append(member)

    async def _consume(self, member: RunningMember, responses: AsyncIterator[bytes]) -> None:
        handed: dict[bytes, str] = {}
        with suppress(PaymentsError):
            async for data in responses:
                response = pb.ConsumeFulfillmentsResponse.FromString(data)
                for delivery in response.deliveries.deliveries:
                    handed[delivery.ack_id] = delivery.event.event_id
                    self._history.handed.append((delivery.event.event_id, delivery.attempt))
                    asyncio.get_running_loop().call_later(self._chance.random() * 0.02, self._work, member, delivery)
                for ack_id in response.ack_results.accepted:
                    event = handed.pop(ack_id)
                    if ack_id in self._acked:
                        self._history.accepted.append(event)

    def _work(self, member: RunningMember, delivery: pb.Delivery) -> None:
        """Do an event, or fail, whatever has become of the session meanwhile."""
        event, ids = delivery.event.event_id, [delivery.ack_id]
        if event in self._poison or self._chance.random() < 0.08:
            nack = pb.NackEvents(ack_ids=ids, reason="no")
            nack.delay.FromMilliseconds(self._chance.choice([0, 20, 100]))
            member.words.put_nowait(pb.ConsumeFulfillmentsRequest(nack=nack))
            return
        self._history.effects.append(event)
        self._acked.add(delivery.ack_id)
        member.words.put_nowait(pb.ConsumeFulfillmentsRequest(ack=pb.AckEvents(ack_ids=ids)))

    async def _crash(self, member: RunningMember) -> None:
        if member.store:
            member.store.is_dead = True
            member.store.moves.set()
        if member.task:
            member.task.cancel()
            await asyncio.gather(member.task, return_exceptions=True)
        self._members.remove(member)

    async def _close(self, member: RunningMember) -> None:
        member.words.put_nowait(pb.ConsumeFulfillmentsRequest(close=pb.CloseConsumer()))
        if member.store and member.store.moves.is_set() and member.task:
            await asyncio.wait([member.task], timeout=3)

    def _freeze(self, member: RunningMember) -> None:
        if member.store:
            member.store.moves.clear()
            wait = LEASE * (0.5 + 2 * self._chance.random())
            asyncio.get_running_loop().call_later(wait, member.store.moves.set)

    async def _look(self) -> None:
        async with self._scene.database.reading() as reading:
            places = (await read_places(reading, [NAME]))[NAME]
        self._history.floors.append({place.shard: place.acked_through for place in places})

    async def _judge(self) -> None:
        async with self._scene.database.reading() as reading:
            log = [(event.event_id, event.order_id) for event in await read_log(reading)]
            everything = Visible(NAME, EVERYTHING, UNCLAIMED)
            parked = [row.entry.event_id for row in await list_parked(reading, everything, None, 10_000)]
        assert len(log) == self._numbers
        check(self._history, log, self._wanted, parked, self._poison)


async def _words(member: RunningMember) -> AsyncIterator[pb.ConsumeFulfillmentsRequest]:
    while (word := await member.words.get()) is not None:
        yield word


def now() -> datetime:
    """Give the time."""
    return datetime.now(UTC)
