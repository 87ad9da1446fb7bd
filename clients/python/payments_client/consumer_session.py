"""One ConsumeFulfillments call, from its opening to its end: deliveries in, acks out, the lease kept by pings.

It decides what may start: nothing once the call is gone or the lease may have run out, for another member may have it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any

import grpc

from payments_client.client_errors import PaymentsError, UnavailableError
from payments_client.delivery_types import ConsumerWish, Delivery
from payments_client.error_reading import read_error
from payments_client.message_reading import read_event
from payments_client.message_writing import duration
from payments_client.pb.payments.v1 import fulfillment_stream_pb2 as pb
from payments_client.stream_progress import OPENING_SECONDS, SILENT_HEARTBEATS, silence

END_SECONDS = 5.0
BEHIND = "waits behind an earlier event of its order"
_log = logging.getLogger("payments_client")


class ConsumerSession:
    """Opened by `run`; made anew for each connection."""

    def __init__(
        self,
        wish: ConsumerWish,
        call: Any,  # noqa: ANN401  # gRPC's class is generic in what differs here
        deliver: Callable[["ConsumerSession", Delivery], None],
        confirm: Callable[[Delivery], None],
        lose: Callable[["ConsumerSession", Delivery], None],
    ) -> None:
        """Take the call, who takes deliveries, and whom to tell of durable acks and of lost ones."""
        self._wish = wish
        self._call = call
        self._deliver = deliver
        self._confirm = confirm
        self._lose = lose
        self._wake = asyncio.Event()
        self._outgoing: list[pb.ConsumeFulfillmentsRequest] = []
        self._acks: list[bytes] = []
        self._unconfirmed: dict[bytes, tuple[Delivery, bool]] = {}
        self._all_confirmed = asyncio.Event()
        self._held: dict[str, set[str]] = {}
        self._lease: float | None = None
        self._heard = _now()
        self._half_close = False
        self._is_dropped = False
        self.is_ending = False
        self.is_gone = False
        self.draining: asyncio.Event = asyncio.Event()
        self.reconnect_delay: float | None = None
        self.has_delivered = False

    async def run(self) -> PaymentsError | None:
        """Work until the call ends; gives why, None where it ended in order."""
        reading, writing = asyncio.create_task(self._read()), asyncio.create_task(self._write())
        try:
            await asyncio.wait({reading, writing}, return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                writing.result()
            return await reading
        finally:
            self.is_gone = True
            self._all_confirmed.set()
            self._call.cancel()
            writing.cancel()
            await asyncio.gather(reading, writing, return_exceptions=True)

    def may_start(self) -> bool:
        """Tell whether an event of this session may be worked on."""
        if self.is_gone or self.is_ending:
            return False
        if _now() - self._heard > (self._lease or OPENING_SECONDS):
            _log.warning("This process stood still for longer than its lease: it drops its events and opens anew.")
            self._drop()
            return False
        return True

    def ack(self, delivery: Delivery) -> None:
        """Tell that it is done."""
        self._unconfirmed[delivery.ack_id] = (delivery, True)
        self._acks.append(delivery.ack_id)
        self._wake.set()

    def nack(self, deliveries: Sequence[Delivery], reason: str, delay: float, park: bool = False) -> None:
        """Give deliveries back: to come again after a while, or to be set aside."""
        if not deliveries:
            return
        for delivery in deliveries:
            self._unconfirmed[delivery.ack_id] = (delivery, False)
        ids = [delivery.ack_id for delivery in deliveries]
        nack = pb.NackEvents(ack_ids=ids, reason=reason, delay=duration(delay), park=park)
        self._send(pb.ConsumeFulfillmentsRequest(nack=nack))

    def hold(self, failed: Delivery, behind: Sequence[Delivery]) -> None:
        """Let no event of the order start until the service has heard that this one failed; gives back what waits."""
        held = self._held.setdefault(failed.order, set())
        held.update(delivery.event.event_id for delivery in (failed, *behind))
        self.nack(behind, BEHIND, 0.0)

    async def finish(self, idle: Callable[[], Any]) -> None:
        """End in order: nothing more comes, what runs is finished, its acks are durable, the shards are free."""
        self.is_ending = True
        self._send(pb.ConsumeFulfillmentsRequest(close=pb.CloseConsumer()))
        with suppress(TimeoutError):
            async with asyncio.timeout(self._wish.stop_grace):
                await idle()
                self._check_confirmed()
                await self._all_confirmed.wait()
        self._half_close = True
        self._wake.set()
        await asyncio.sleep(END_SECONDS)
        self._drop()

    def _drop(self) -> None:
        self.is_gone = self._is_dropped = True
        self._call.cancel()

    def _send(self, request: pb.ConsumeFulfillmentsRequest) -> None:
        self._outgoing.append(request)
        self._wake.set()

    async def _write(self) -> None:
        """Send until the call ends; why it ends, the reader learns."""
        with suppress(grpc.RpcError, asyncio.InvalidStateError):
            await self._write_all()

    async def _write_all(self) -> None:
        wish = self._wish
        opening = pb.OpenConsumer(
            subscriber=wish.subscriber,
            member_id=wish.member_id,
            credit=wish.credit,
            heartbeat_interval=duration(wish.heartbeat),
        )
        await self._call.write(pb.ConsumeFulfillmentsRequest(open=opening))
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._ping_interval()):
                    await self._wake.wait()
            self._wake.clear()
            async for request in self._requests():
                await self._call.write(request)
            if self._half_close:
                await self._call.done_writing()
                return

    def _ping_interval(self) -> float:
        return self._lease / 3 if self._lease else OPENING_SECONDS

    async def _requests(self) -> AsyncIterator[pb.ConsumeFulfillmentsRequest]:
        """Give what is to be sent, many acks in one; a ping where there is nothing."""
        if not self._acks and not self._outgoing and not self._half_close:
            yield pb.ConsumeFulfillmentsRequest(ping=pb.Ping())
        while self._acks or self._outgoing:
            acks, self._acks = self._acks, []
            outgoing, self._outgoing = self._outgoing, []
            if acks:
                yield pb.ConsumeFulfillmentsRequest(ack=pb.AckEvents(ack_ids=acks))
            for request in outgoing:
                yield request

    async def _read(self) -> PaymentsError | None:
        """Heed what the service says; gives why it stopped, None where that was asked for."""
        while True:
            patience = self._wish.heartbeat * SILENT_HEARTBEATS if self._lease else OPENING_SECONDS
            try:
                async with asyncio.timeout(patience):
                    response = await self._call.read()
            except TimeoutError:
                return silence(patience)
            except grpc.RpcError as error:
                return read_error(error)
            except asyncio.CancelledError:
                if not self._is_dropped:
                    raise
                return UnavailableError("The session was given up.", code="CANCELLED")
            if not isinstance(response, pb.ConsumeFulfillmentsResponse):
                unasked = UnavailableError("The service ended the session without a word.", code="OK")
                return None if self.is_ending else unasked
            self._heard = _now()
            self._heed(response)

    def _heed(self, response: pb.ConsumeFulfillmentsResponse) -> None:
        match response.WhichOneof("response"):
            case "opened":
                lease = response.opened.lease_duration.ToTimedelta().total_seconds()
                self._lease = lease or OPENING_SECONDS
                self._wake.set()
            case "deliveries":
                self._take(response.deliveries)
            case "ack_results":
                self._settle(response.ack_results)
            case "draining":
                self.reconnect_delay = response.draining.reconnect_delay.ToTimedelta().total_seconds()
                self.draining.set()
            case _:
                pass

    def _take(self, deliveries: pb.Deliveries) -> None:
        self.has_delivered = True
        for message in deliveries.deliveries:
            delivery = Delivery(message.ack_id, read_event(message.event, message.attempt))
            if not self._is_held(delivery):
                self._deliver(self, delivery)

    def _is_held(self, delivery: Delivery) -> bool:
        """Send back what was on its way when an earlier event of its order failed; once, as it is then known there."""
        held = self._held.get(delivery.order)
        if held is None:
            return False
        if delivery.event.event_id in held:
            del self._held[delivery.order]
            return False
        held.add(delivery.event.event_id)
        self.nack([delivery], BEHIND, 0.0)
        return True

    def _settle(self, results: pb.AckResults) -> None:
        for ack_id in results.accepted:
            delivery, is_ack = self._unconfirmed.pop(ack_id, (None, False))
            if delivery is None:
                continue
            if is_ack:
                self._confirm(delivery)
            else:
                self._held.pop(delivery.order, None)
        for failure in results.failed:
            delivery, _ = self._unconfirmed.pop(failure.ack_id, (None, False))
            if delivery is not None:
                _log.warning("The service did not take what became of %s: %s", delivery.event.event_id, failure.reason)
                self._lose(self, delivery)
        self._check_confirmed()

    def _check_confirmed(self) -> None:
        if self.is_ending and not self._unconfirmed:
            self._all_confirmed.set()


def _now() -> float:
    return asyncio.get_running_loop().time()
