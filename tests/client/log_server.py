"""Serves StreamFulfillments over a list of events, and ends its streams in all the ways in which streams end."""

import asyncio
import random
from collections.abc import AsyncIterator

import grpc
from payments_client.pb.payments.v1 import fulfillment_stream_pb2 as pb
from payments_client.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent, StartPosition

from .contract_server import Context, refuse

HEARTBEAT = 0.2
ENDINGS = ("unavailable", "internal", "ends", "drains", "slow")


def cursor_of(position: int) -> bytes:
    """Make a cursor; it is opaque to the client."""
    return b"c" + position.to_bytes(8, "big")


def position_of(start: StartPosition) -> int:
    """Read where to start."""
    return int.from_bytes(start.cursor[1:], "big") if start.cursor else 0


def log_of(length: int, orders: int = 5) -> list[FulfillmentEvent]:
    """Make a log of paid orders."""
    return [
        FulfillmentEvent(
            event_id=f"evt_{position}",
            type=FulfillmentEvent.TYPE_PAYMENT_SUCCEEDED,
            order_id=f"ord_{position % orders}",
            order_version=position // orders + 1,
            cursor=cursor_of(position),
        )
        for position in range(1, length + 1)
    ]


def response(events: list[FulfillmentEvent], position: int, **signal: object) -> pb.StreamFulfillmentsResponse:
    """Make a response; every one has a cursor."""
    return pb.StreamFulfillmentsResponse(events=events, cursor=cursor_of(position), **signal)  # type: ignore[arg-type]


class LogServer:
    """A log that grows by nothing, streamed in batches of any size; every other event is another's and left out."""

    def __init__(self, length: int, seed: int, endings: tuple[str, ...] = ENDINGS, chance: float = 0.25) -> None:
        self.log = log_of(length)
        self.wanted = [event for event in self.log if self.matches(event)]
        self.starts: list[StartPosition] = []
        self.endings_seen: list[str] = []
        self._random = random.Random(seed)  # noqa: S311  # chooses ways to end
        self._endings = endings
        self._chance = chance

    @staticmethod
    def matches(event: FulfillmentEvent) -> bool:
        """Tell what the filter lets through."""
        return int(event.event_id.removeprefix("evt_")) % 3 != 0

    def pieces(self, after: int) -> list[pb.StreamFulfillmentsResponse]:
        """Cut the rest of the log into responses."""
        pieces, at = [], after
        while at < len(self.log):
            end = min(at + self._random.randint(1, 7), len(self.log))
            pieces.append(response([event for event in self.log[at:end] if self.matches(event)], end))
            at = end
        return pieces

    async def stream(
        self, request: pb.StreamFulfillmentsRequest, context: Context
    ) -> AsyncIterator[pb.StreamFulfillmentsResponse]:
        """Serve one stream until it ends by chance, or is caught up and lives on."""
        self.starts.append(request.start)
        at = position_of(request.start)
        opened = pb.Opened()
        opened.heartbeat_interval.FromNanoseconds(int(HEARTBEAT * 1e9))
        yield response([], at, opened=opened)
        for piece in self.pieces(at):
            if self._random.random() < self._chance:
                ending = self._random.choice(self._endings)
                self.endings_seen.append(ending)
                async for last in self._end(ending, at, context):
                    yield last
                return
            at = position_of(StartPosition(cursor=piece.cursor))
            yield piece
        yield response([], len(self.log), caught_up=pb.CaughtUp())
        while True:
            await asyncio.sleep(HEARTBEAT)
            yield response([], len(self.log), heartbeat=pb.Heartbeat())

    async def _end(self, ending: str, at: int, context: Context) -> AsyncIterator[pb.StreamFulfillmentsResponse]:
        match ending:
            case "unavailable":
                await refuse(context, grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE")
            case "internal":
                await refuse(context, grpc.StatusCode.INTERNAL, "INTERNAL")
            case "slow":
                await refuse(context, grpc.StatusCode.RESOURCE_EXHAUSTED, "SLOW_CONSUMER")
            case "drains":
                yield response([], at, draining=pb.Draining())
                await refuse(context, grpc.StatusCode.UNAVAILABLE, "DRAINING")
            case "silent":
                await asyncio.Event().wait()
            case _:
                return
