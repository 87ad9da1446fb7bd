"""A service of its own behind real gRPC whose log a test fills by hand, and members that talk by plain stubs."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from event_log.log_scene import staged
from google.protobuf.duration_pb2 import Duration
from integration.rpc.rpc_service import RpcService, bearer

from payments_service.contract.pb.payments.v1 import fulfillment_stream_pb2 as pb
from payments_service.contract.pb.payments.v1 import operations_pb2 as ops
from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import (
    StartPosition,
)
from payments_service.contract.pb.payments.v1.payments_pb2_grpc import PaymentsStub
from payments_service.contract.pb.payments.v1.subscriber_pb2 import Subscriber
from payments_service.storage.log_rows import OutboxEvent, append_events

EARLIEST = StartPosition(earliest=True)
T = TypeVar("T")
PATIENCE = 10.0


@dataclass
class Group:
    """One subscriber of a service, and what its members got."""

    service: RpcService
    name: str = "course-service"
    who: Any = "shop"
    made: int = 0

    async def create(self, start: StartPosition = EARLIEST, **fields: Any) -> Subscriber:  # noqa: ANN401
        """Create it."""
        asked = Subscriber(subscriber=self.name, **fields)
        request = ops.CreateSubscriberRequest(subscriber=asked, start=start)
        return (await self.service.operations.CreateSubscriber(request, metadata=bearer(self.who))).subscriber

    async def standing(self) -> Subscriber:
        """Look at it."""
        listed = await self.service.operations.ListSubscribers(ops.ListSubscribersRequest(), metadata=bearer(self.who))
        return next(found for found in listed.subscribers if found.subscriber == self.name)

    async def seek(self, target: StartPosition) -> Subscriber:
        """Move it."""
        request = ops.SeekSubscriberRequest(subscriber=self.name, target=target)
        return (await self.service.operations.SeekSubscriber(request, metadata=bearer(self.who))).subscriber

    async def delete(self) -> None:
        """Delete it."""
        request = ops.DeleteSubscriberRequest(subscriber=self.name)
        await self.service.operations.DeleteSubscriber(request, metadata=bearer(self.who))

    async def until(self, look: Callable[[], Awaitable[T]], wanted: T, patience: float = PATIENCE) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(patience):
            while await look() != wanted:  # noqa: ASYNC110  # there is no event to wait for
                await asyncio.sleep(0.02)

    async def parked(self) -> list[Any]:
        """List what is parked."""
        request = ops.ListParkedEventsRequest(subscriber=self.name)
        return list((await self.service.operations.ListParkedEvents(request, metadata=bearer(self.who))).parked_events)

    async def replay(self, *event_ids: str) -> int:
        """Bring parked events back."""
        request = ops.ReplayParkedEventsRequest(subscriber=self.name, event_ids=event_ids)
        return (await self.service.operations.ReplayParkedEvents(request, metadata=bearer(self.who))).replayed

    async def put(self, *events: OutboxEvent) -> None:
        """Put events on the log."""
        async with self.service.stages.database.transaction() as tx:
            await append_events(tx, list(events))
        await self.service.log()

    async def fill(self, orders: int, each: int = 1, **kind: Any) -> list[str]:  # noqa: ANN401
        """Put events of some orders on the log, taking turns; gives their ids."""
        events = []
        for _ in range(each):
            for order in range(orders):
                self.made += 1
                events.append(staged(self.made, order=f"ord_{order}", **kind))
        await self.put(*events)
        return [event.event_id for event in events]

    def join(self, member_id: str = "replica-1", **opening: Any) -> "Member":  # noqa: ANN401
        """Open a session over the service's channel."""
        return Member(self.service.channel, self.name, member_id, self.who, **opening)


class Member:
    """A plain stub that keeps all that it was sent; it answers when it is told to."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        subscriber: str,
        member_id: str,
        who: Any = "shop",  # noqa: ANN401
        *,
        credit: int = 100,
        **opening: Any,  # noqa: ANN401
    ) -> None:
        self.call: Any = PaymentsStub(channel).ConsumeFulfillments(metadata=bearer(who))
        self.opening = pb.OpenConsumer(subscriber=subscriber, member_id=member_id, credit=credit, **opening)
        self.waiting: list[pb.Delivery] = []
        self.got: list[pb.Delivery] = []
        self.accepted: set[bytes] = set()
        self.failed: dict[bytes, str] = {}
        self.shards: set[int] = set()
        self.kinds: list[str] = []

    async def __aenter__(self) -> "Member":
        await self.open()
        return self

    async def open(self) -> None:
        """Join, and wait until that is done."""
        await self.say(open=self.opening)
        await self.until(lambda: "opened" in self.kinds)

    async def __aexit__(self, *_: object) -> None:
        self.call.cancel()

    async def say(self, **request: Any) -> None:  # noqa: ANN401
        """Send one message."""
        await self.call.write(pb.ConsumeFulfillmentsRequest(**request))

    async def ack(self, *deliveries: pb.Delivery) -> None:
        """Acknowledge deliveries, or all that wait."""
        chosen = deliveries or tuple(self.take())
        await self.say(ack=pb.AckEvents(ack_ids=[delivery.ack_id for delivery in chosen]))

    async def nack(
        self, *deliveries: pb.Delivery, reason: str = "no", delay: float | None = 0, park: bool = False
    ) -> None:
        """Give deliveries back."""
        wait = None if delay is None else Duration(nanos=int(delay * 1e9))
        ids = [delivery.ack_id for delivery in deliveries]
        await self.say(nack=pb.NackEvents(ack_ids=ids, reason=reason, delay=wait, park=park))

    def take(self) -> list[pb.Delivery]:
        """Take what has come and was not taken."""
        waiting, self.waiting = self.waiting, []
        return waiting

    async def read(self) -> str:
        """Read one response; gives its kind, empty at the end."""
        response = await self.call.read()
        if response is grpc.aio.EOF:
            return ""
        kind: str = response.WhichOneof("response")
        self.kinds.append(kind)
        if kind == "deliveries":
            self.waiting.extend(response.deliveries.deliveries)
            self.got.extend(response.deliveries.deliveries)
        elif kind == "ack_results":
            self.accepted.update(response.ack_results.accepted)
            self.failed.update((failure.ack_id, failure.reason) for failure in response.ack_results.failed)
        elif kind == "assignment":
            self.shards |= set(response.assignment.gained_shards)
            self.shards -= set(response.assignment.lost_shards)
        return kind

    async def until(self, holds: Callable[[], bool]) -> None:
        """Read on until something holds."""
        async with asyncio.timeout(PATIENCE):
            while not holds():
                assert await self.read(), f"the session ended: {self.kinds}"

    async def deliveries(self, count: int) -> list[pb.Delivery]:
        """Wait until so many deliveries wait, and take them."""
        await self.until(lambda: len(self.waiting) >= count)
        return self.take()

    async def confirmed(self, *deliveries: pb.Delivery) -> None:
        """Wait until answers are durable."""
        await self.until(lambda: {delivery.ack_id for delivery in deliveries} <= self.accepted)

    async def to_the_end(self) -> None:
        """Read on until the session ends in order."""
        async with asyncio.timeout(PATIENCE):
            while await self.read():
                pass

    async def work(self, done: Callable[[], bool]) -> None:
        """Acknowledge whatever comes until something holds, and that is confirmed."""
        async with asyncio.timeout(PATIENCE):
            while not (done() and {delivery.ack_id for delivery in self.got} <= self.accepted | self.failed.keys()):
                assert await self.read()
                if self.waiting:
                    await self.ack()

    @property
    def ids(self) -> list[str]:
        """The ids of all events that came."""
        return [delivery.event.event_id for delivery in self.got]


def ids(deliveries: Iterable[pb.Delivery]) -> list[str]:
    """Give the events' ids."""
    return [delivery.event.event_id for delivery in deliveries]
