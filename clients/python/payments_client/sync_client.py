"""The client for code that blocks; it may be called from any thread."""

import asyncio
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack

import grpc

from payments_client import unary_calls
from payments_client.async_calling import AsyncCaller
from payments_client.client_errors import PaymentsError
from payments_client.connection import Token, make_connection
from payments_client.consumer import Consumer
from payments_client.delivery_types import ConsumerOptions, ConsumerWish, Handler
from payments_client.enumerations import FulfillmentState, Mode, PaymentState, RefundReason, WaitUntil
from payments_client.error_reading import read_error
from payments_client.event_types import EventFilter, StartAt
from payments_client.money import Money
from payments_client.order_types import Checkout, Entitlement, Fulfillment, Order, OrderWait, Refunded
from payments_client.order_waiting import OrderWaiting
from payments_client.pb.payments.v1 import fulfillment_stream_pb2 as stream_pb
from payments_client.purchase_types import LineItem, Purchase
from payments_client.stream_progress import StreamProgress, StreamWish, require_start
from payments_client.sync_calling import SyncCaller
from payments_client.sync_stream import EventStream
from payments_client.sync_subscribers import EVERYTHING, Subscribers

STOP_POLL = 0.1  # seconds


class PaymentsClient:
    """Calls the payments service; one for a process is enough.

    Every call has a deadline and is tried again while the service cannot be reached; every error is a PaymentsError.
    """

    def __init__(
        self,
        target: str = "",
        *,
        token: Token = "",
        tls: bool | None = None,
        root_certificates: bytes | Path | None = None,
        client_certificate: tuple[bytes, bytes] | None = None,
    ) -> None:
        """Take host:port and the token; empty, they are those of PAYMENTS_TARGET and PAYMENTS_TOKEN.

        TLS is used except to this machine itself; `tls=False` says aloud that a mesh encrypts.
        """
        self._connection = make_connection(
            target,
            token=token,
            tls=tls,
            root_certificates=root_certificates,
            client_certificate=client_certificate,
        )
        self._caller = SyncCaller(self._connection)
        self.subscribers = Subscribers(self._caller)

    def close(self) -> None:
        """Close the connection; calls under way are cancelled."""
        self._caller.channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def create_checkout(
        self,
        *,
        organization_id: str,
        user_id: str,
        purchase: Purchase,
        line_items: Sequence[LineItem],
        mode: Mode = Mode.UNSPECIFIED,
        success_url: str = "",
        cancel_url: str = "",
        expire_time: datetime | None = None,
        customer_email: str = "",
        customer_id: str = "",
        allow_promotion_codes: bool = False,
        automatic_tax: bool = False,
        request_id: str = "",
        timeout: float | None = None,
    ) -> Checkout:
        """Create a checkout and give the page to send the buyer to.

        The request_id makes it safe to repeat: without one, the call makes its own and keeps it across its retries, and
        an error carries it. Pass one of your own (a UUID, kept with your cart) to be safe across restarts too.
        """
        return self._caller.call(
            unary_calls.create_checkout(
                organization_id=organization_id,
                user_id=user_id,
                purchase=purchase,
                items=line_items,
                mode=mode,
                success_url=success_url,
                cancel_url=cancel_url,
                expire_time=expire_time,
                customer_email=customer_email,
                customer_id=customer_id,
                allow_promotion_codes=allow_promotion_codes,
                automatic_tax=automatic_tax,
                request_id=request_id,
            ),
            timeout,
        )

    def expire_checkout(self, order_id: str, *, timeout: float | None = None) -> Order:
        """Close an open checkout, so that nobody can pay it any more."""
        return self._caller.call(unary_calls.expire_checkout(order_id), timeout)

    def get_order(
        self,
        order_id: str = "",
        *,
        checkout_session_id: str = "",
        refresh: bool = False,
        timeout: float | None = None,
    ) -> Order:
        """Read an order by its id or its session's; `refresh` asks Stripe first where it is not settled."""
        return self._caller.call(unary_calls.get_order(order_id, checkout_session_id, refresh), timeout)

    def list_orders(
        self,
        *,
        organization_id: str = "",
        user_id: str = "",
        purchase_type: str = "",
        payment_states: Sequence[PaymentState] = (),
        fulfillment_states: Sequence[FulfillmentState] = (),
        page_size: int = 0,
    ) -> Iterator[Order]:
        """Give the orders, newest first, page after page as they are needed."""
        return self._caller.each(
            unary_calls.list_orders(
                organization_id, user_id, purchase_type, payment_states, fulfillment_states, page_size
            )
        )

    def wait_order(
        self,
        order_id: str = "",
        *,
        checkout_session_id: str = "",
        until: WaitUntil = WaitUntil.FULFILLED,
        max_wait: float = 60.0,
    ) -> OrderWait:
        """Wait until an order is paid or fulfilled, or can no longer be, or the seconds are over: for return pages."""
        waiting = OrderWaiting(order_id, checkout_session_id, until, max_wait)
        while True:
            failure: PaymentsError | None = None
            call = self._caller.payments.WaitOrder(
                waiting.request(), timeout=waiting.deadline, metadata=self._caller.metadata()
            )
            try:
                for response in call:
                    waiting.take(response)
            except grpc.RpcError as error:
                failure = read_error(error)
            result = waiting.result()
            if result is not None:
                return result
            threading.Event().wait(waiting.pause_after(failure))

    def refund_order(
        self,
        order_id: str,
        *,
        amount: Money | None = None,
        reason: RefundReason = RefundReason.UNSPECIFIED,
        fulfillment_id: str = "",
        request_id: str = "",
        timeout: float | None = None,
    ) -> Refunded:
        """Give money back: all that is left, or an amount of it; the request_id is as in create_checkout."""
        call = unary_calls.refund_order(order_id, amount, reason, fulfillment_id, request_id)
        return self._caller.call(call, timeout)

    def cancel_subscription(
        self, order_id: str, *, at_period_end: bool, request_id: str = "", timeout: float | None = None
    ) -> Order:
        """End a subscription, now or when what is paid for is over; the request_id is as in create_checkout."""
        return self._caller.call(unary_calls.cancel_subscription(order_id, at_period_end, request_id), timeout)

    def complete_fulfillment(
        self,
        fulfillment_id: str,
        *,
        generation: int,
        result: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Order:
        """Report that what FULFILLMENT_REQUESTED asked for is done; its generation comes from that event."""
        call = unary_calls.complete_fulfillment(fulfillment_id, result or {}, generation)
        return self._caller.call(call, timeout)

    def fail_fulfillment(
        self, fulfillment_id: str, error: str, *, generation: int, retry: bool, timeout: float | None = None
    ) -> Order:
        """Report that it cannot be done, or with `retry` not now: then it is asked for again later."""
        call = unary_calls.fail_fulfillment(fulfillment_id, error, retry, generation)
        return self._caller.call(call, timeout)

    def list_fulfillments(self, order_id: str, *, page_size: int = 0) -> Iterator[Fulfillment]:
        """Give all that an order owes and owed, newest first."""
        return self._caller.each(unary_calls.list_fulfillments(order_id, page_size))

    def list_entitlements(
        self,
        *,
        organization_id: str = "",
        user_id: str = "",
        resource: str = "",
        active_only: bool = False,
        page_size: int = 0,
    ) -> Iterator[Entitlement]:
        """Give what users may use, the newest grant first."""
        return self._caller.each(
            unary_calls.list_entitlements(organization_id, user_id, resource, active_only, page_size)
        )

    def stream(
        self,
        *,
        after: bytes | None = None,
        start: StartAt | None = None,
        filter: EventFilter = EVERYTHING,
        follow: bool = True,
        max_batch_size: int = 0,
        max_batch_delay: float = 0.0,
        heartbeat: float = 15.0,
    ) -> EventStream:
        """Give the events after a cursor, or from `start` where there is no cursor yet, for ever.

        Without `follow` it ends when it has reached the present.
        """
        wish = StreamWish(require_start(after, start), filter, max_batch_size, max_batch_delay, heartbeat, follow)
        return EventStream(StreamProgress(wish), self._open_stream)

    def _open_stream(self, request: stream_pb.StreamFulfillmentsRequest) -> Any:  # noqa: ANN401  # gRPC does not name its class
        return self._caller.payments.StreamFulfillments(request, metadata=self._caller.metadata())

    def consume(
        self,
        subscriber: str,
        handler: Handler,
        *,
        stop: threading.Event | None = None,
        **options: Unpack[ConsumerOptions],
    ) -> None:
        """Hand a durable subscriber's events to a handler until `stop` is set; see AsyncPaymentsClient.consumer.

        The handler runs in threads, several orders at once. It blocks, with an event loop of its own in this thread.
        """
        asyncio.run(self._consume(subscriber, handler, stop, options))

    async def _consume(
        self, subscriber: str, handler: Handler, stop: threading.Event | None, options: ConsumerOptions
    ) -> None:
        caller = AsyncCaller(self._connection)
        consumer = Consumer(ConsumerWish(subscriber, **options), handler, caller.open_consumer)
        ended = threading.Event()
        if stop is not None:
            threading.Thread(target=_stop_when, args=(stop, ended, consumer), daemon=True).start()
        try:
            await consumer.run()
        finally:
            ended.set()
            await caller.channel.close()


def _stop_when(stop: threading.Event, ended: threading.Event, consumer: Consumer) -> None:
    while not ended.is_set():
        if stop.wait(STOP_POLL):
            consumer.stop()
            return
