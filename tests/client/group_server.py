"""Serves ConsumeFulfillments for one member at a time, after the contract and no better than it must.

It sends several events of an order at once, as far as the credit goes, and keeping their order is the client's work;
a nacked event holds back what comes after it in its order, except what is out already.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field

import grpc
from payments_client.pb.payments.v1 import fulfillment_stream_pb2 as pb
from payments_client.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent

from .contract_server import Context, refuse

HEARTBEAT = 0.2


@dataclass
class Session:
    """One open call."""

    opening: pb.OpenConsumer
    outstanding: dict[bytes, FulfillmentEvent] = field(default_factory=dict)
    is_closing: bool = False
    is_half_closed: bool = False
    pings: int = 0


class GroupServer:
    """A subscriber's events: waiting, out, acknowledged or parked."""

    def __init__(self, log: list[FulfillmentEvent], *, max_attempts: int = 10, lease: float = 1.0) -> None:
        self.waiting = {event.event_id: event for event in log}
        self.acked: list[str] = []
        self.parked: dict[str, str] = {}
        self.reasons: list[tuple[str, str]] = []
        self.attempts: Counter[str] = Counter()
        self.sessions: list[Session] = []
        self.most_out = 0
        self.lose: set[str] = set()
        """Events whose acks are refused, once: their lease is another's."""
        self.ending = ""
        """How the open session is to end."""
        self._failed: dict[str, float] = {}
        self._max_attempts = max_attempts
        self._lease = lease
        self._changed = asyncio.Event()
        self._results: list[pb.AckResults] = []

    @property
    def is_done(self) -> bool:
        """Tell whether nothing waits and nothing is out."""
        return not self.waiting and not any(session.outstanding for session in self.sessions)

    def end(self, how: str) -> None:
        """End the open session: cut, silent, drain."""
        self.ending = how
        self._changed.set()

    async def consume(
        self, requests: AsyncIterator[pb.ConsumeFulfillmentsRequest], context: Context
    ) -> AsyncIterator[pb.ConsumeFulfillmentsResponse]:
        """Serve one session; what it leaves unacknowledged waits again."""
        opening = (await anext(aiter(requests))).open
        session = Session(opening)
        self.sessions.append(session)
        self.ending = ""
        hearing = asyncio.create_task(self._hear(session, requests))
        try:
            opened = pb.ConsumerOpened()
            opened.lease_duration.FromNanoseconds(int(self._lease * 1e9))
            yield pb.ConsumeFulfillmentsResponse(opened=opened)
            async for response in self._responses(session, context):
                yield response
        finally:
            hearing.cancel()
            for event in session.outstanding.values():
                self.waiting[event.event_id] = event
            session.outstanding.clear()

    async def _responses(self, session: Session, context: Context) -> AsyncIterator[pb.ConsumeFulfillmentsResponse]:
        beat = time.monotonic() + HEARTBEAT
        while True:
            self._changed.clear()
            if self.ending:
                async for response in self._end(context):
                    yield response
            for result in self._take_results():
                yield pb.ConsumeFulfillmentsResponse(ack_results=result)
            if session.is_closing and (session.is_half_closed or not session.outstanding):
                return
            deliveries = [] if session.is_closing or self.ending else self._next(session)
            if deliveries:
                yield pb.ConsumeFulfillmentsResponse(deliveries=pb.Deliveries(deliveries=deliveries))
            if time.monotonic() >= beat:
                beat += HEARTBEAT
                yield pb.ConsumeFulfillmentsResponse(heartbeat=pb.Heartbeat())
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), 0.02)

    async def _end(self, context: Context) -> AsyncIterator[pb.ConsumeFulfillmentsResponse]:
        match self.ending:
            case "cut":
                await refuse(context, grpc.StatusCode.UNAVAILABLE)
            case "silent":
                await asyncio.Event().wait()
            case "drain":
                self.ending = "draining"
                yield pb.ConsumeFulfillmentsResponse(draining=pb.Draining())
            case _:
                return

    def _take_results(self) -> list[pb.AckResults]:
        results, self._results = self._results, []
        return results

    def _next(self, session: Session) -> list[pb.Delivery]:
        """Take what may go out now, in the order of the log, and nothing behind what has failed and is not done."""
        deliveries: list[pb.Delivery] = []
        held = {event.order_id for event in session.outstanding.values() if event.event_id in self._failed}
        for event in sorted(self.waiting.values(), key=lambda event: event.cursor):
            if event.order_id in held or len(session.outstanding) >= session.opening.credit:
                continue
            if event.event_id in self._failed:
                held.add(event.order_id)
                if self._failed[event.event_id] > time.monotonic():
                    continue
            deliveries.append(self._deliver(session, event))
        self.most_out = max(self.most_out, len(session.outstanding))
        return deliveries

    def _deliver(self, session: Session, event: FulfillmentEvent) -> pb.Delivery:
        del self.waiting[event.event_id]
        self.attempts[event.event_id] += 1
        attempt = self.attempts[event.event_id]
        ack_id = f"{len(self.sessions)}/{event.event_id}/{attempt}".encode()
        session.outstanding[ack_id] = event
        return pb.Delivery(ack_id=ack_id, event=event, attempt=attempt)

    async def _hear(self, session: Session, requests: AsyncIterator[pb.ConsumeFulfillmentsRequest]) -> None:
        async for request in requests:
            match request.WhichOneof("request"):
                case "ack":
                    self._ack(session, list(request.ack.ack_ids))
                case "nack":
                    self._nack(session, request.nack)
                case "close":
                    session.is_closing = True
                case _:
                    session.pings += 1
            self._changed.set()
        session.is_half_closed = True
        self._changed.set()

    def _ack(self, session: Session, ack_ids: list[bytes]) -> None:
        result = pb.AckResults()
        for ack_id in ack_ids:
            event = session.outstanding.pop(ack_id)
            if event.event_id in self.lose:
                self.lose.discard(event.event_id)
                result.failed.add(ack_id=ack_id, reason="LEASE_LOST")
                self.waiting[event.event_id] = event
            else:
                self.acked.append(event.event_id)
                self._failed.pop(event.event_id, None)
                result.accepted.append(ack_id)
        self._results.append(result)

    def _nack(self, session: Session, nack: pb.NackEvents) -> None:
        for ack_id in nack.ack_ids:
            event = session.outstanding.pop(ack_id)
            self.reasons.append((event.event_id, nack.reason))
            if nack.park or self.attempts[event.event_id] >= self._max_attempts:
                self.parked[event.event_id] = nack.reason
                self._failed.pop(event.event_id, None)
            else:
                self._failed[event.event_id] = time.monotonic() + nack.delay.ToTimedelta().total_seconds()
                self.waiting[event.event_id] = event
        self._results.append(pb.AckResults(accepted=nack.ack_ids))
