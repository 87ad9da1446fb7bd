"""Serves what internal callers ask: each method checks what its request names, then hands over to the stage."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from datetime import datetime

from payments_service.checkout.cancellation import Cancellation
from payments_service.checkout.creation import CheckoutCreation
from payments_service.checkout.expiration import CheckoutExpiration
from payments_service.checkout.lookup import OrderLookup
from payments_service.checkout.order_wait import OrderWait, require_wait
from payments_service.checkout.refunding import Refunding
from payments_service.contract.pb.payments.v1 import payments_pb2 as pb
from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import (
    ConsumeFulfillmentsRequest,
    StreamFulfillmentsRequest,
)
from payments_service.contract.pb.payments.v1.order_pb2 import PAYMENT_STATE_UNSPECIFIED
from payments_service.errors import FieldViolation, InvalidRequestError, OrderNotFoundError
from payments_service.event_log.fulfillment_consumption import FulfillmentConsumers
from payments_service.event_log.fulfillment_stream import FulfillmentStreams
from payments_service.fulfillment.desk import FulfillmentDesk
from payments_service.orders.order_message import entitlement_message, fulfillment_message, order_message
from payments_service.orders.order_parts import read_parts
from payments_service.rpc.call_interceptor import Call
from payments_service.rpc.callers import CallerResolver
from payments_service.rpc.method_policy import require_named
from payments_service.rpc.page_filling import fill_page, rows_wanted
from payments_service.rpc.page_token import page_key
from payments_service.rpc.request_rules import require_field
from payments_service.storage.database import Database
from payments_service.storage.entitlement_rows import list_entitlements
from payments_service.storage.fulfillment_rows import list_fulfillments
from payments_service.storage.order_rows import OrderFilter, find_order, list_orders


class PaymentsServicer:
    """The service `payments.v1.Payments`; the method table finds its methods by their names."""

    def __init__(  # noqa: PLR0913  # one stage each
        self,
        *,
        database: Database,
        callers: CallerResolver,
        creation: CheckoutCreation,
        expiration: CheckoutExpiration,
        lookup: OrderLookup,
        waiting: OrderWait,
        refunding: Refunding,
        cancellation: Cancellation,
        desk: FulfillmentDesk,
        streams: FulfillmentStreams,
        consumers: FulfillmentConsumers,
        clock: Callable[[], datetime],
    ) -> None:
        """Take the stages that do the work."""
        self._database = database
        self._callers = callers
        self._creation = creation
        self._expiration = expiration
        self._lookup = lookup
        self._waiting = waiting
        self._refunding = refunding
        self._cancellation = cancellation
        self._desk = desk
        self._streams = streams
        self._consumers = consumers
        self._clock = clock

    async def create_checkout(self, request: pb.CreateCheckoutRequest, call: Call) -> pb.CreateCheckoutResponse:
        """Make a checkout, or give the one that the same request has made."""
        account = self._callers.stripe_account(request.organization_id)
        order = await self._creation.create(request, call.caller, stripe_account=account, budget=call.budget)
        return pb.CreateCheckoutResponse(order=order, checkout_url=order.checkout_url)

    async def expire_checkout(self, request: pb.ExpireCheckoutRequest, call: Call) -> pb.ExpireCheckoutResponse:
        """Close an open checkout."""
        require_field("order_id", request.order_id)
        order = await self._expiration.expire(request.order_id, call.caller.scope, budget=call.budget)
        return pb.ExpireCheckoutResponse(order=order)

    async def get_order(self, request: pb.GetOrderRequest, call: Call) -> pb.GetOrderResponse:
        """Give an order by its own id or its session's."""
        if key := request.WhichOneof("key"):
            require_field(key, getattr(request, key))
        order = await self._lookup.get(
            order_id=request.order_id,
            session_id=request.checkout_session_id,
            scope=call.caller.scope,
            refresh=request.refresh,
            budget=call.budget,
        )
        return pb.GetOrderResponse(order=order)

    async def list_orders(self, request: pb.ListOrdersRequest, call: Call) -> pb.ListOrdersResponse:
        """List the caller's orders, newest first."""
        named = {"organization_id": request.organization_id, "purchase_type": request.purchase_type}
        require_named(call.caller, **named)
        if PAYMENT_STATE_UNSPECIFIED in request.payment_states:
            raise InvalidRequestError([FieldViolation("payment_states", "no order's is UNSPECIFIED: leave it out")])
        narrowed = OrderFilter(
            user_id=request.user_id,
            payment_states=tuple(request.payment_states),
            fulfillment_states=tuple(request.fulfillment_states),
            **named,
        )
        key, wanted = page_key(request), rows_wanted(request)
        async with self._database.reading() as reading:
            rows = await list_orders(reading, call.caller.scope, narrowed, key, wanted)
            parts = await read_parts(reading, [row.order_id for row in rows])
        orders, token = fill_page(
            request,
            rows,
            lambda row: order_message(row, parts[row.order_id]),
            lambda row: (row.create_time, row.order_id),
        )
        return pb.ListOrdersResponse(orders=orders, next_page_token=token)

    async def complete_fulfillment(
        self, request: pb.CompleteFulfillmentRequest, call: Call
    ) -> pb.CompleteFulfillmentResponse:
        """Take an owner's word that its part is done."""
        require_field("fulfillment_id", request.fulfillment_id)
        return pb.CompleteFulfillmentResponse(order=await self._desk.complete(request, call.caller.scope))

    async def fail_fulfillment(self, request: pb.FailFulfillmentRequest, call: Call) -> pb.FailFulfillmentResponse:
        """Take an owner's word that its part cannot be done, or not now."""
        require_field("fulfillment_id", request.fulfillment_id)
        return pb.FailFulfillmentResponse(order=await self._desk.fail(request, call.caller.scope))

    async def list_fulfillments(self, request: pb.ListFulfillmentsRequest, call: Call) -> pb.ListFulfillmentsResponse:
        """List what one order owes and owed, newest first."""
        require_field("order_id", request.order_id)
        key, wanted = page_key(request), rows_wanted(request)
        async with self._database.reading() as reading:
            if await find_order(reading, request.order_id, call.caller.scope) is None:
                raise OrderNotFoundError(f"There is no order {request.order_id!r}.", order_id=request.order_id)
            rows = await list_fulfillments(reading, request.order_id, key, wanted)
        fulfillments, token = fill_page(
            request, rows, fulfillment_message, lambda row: (row.create_time, row.fulfillment_id)
        )
        return pb.ListFulfillmentsResponse(fulfillments=fulfillments, next_page_token=token)

    async def list_entitlements(self, request: pb.ListEntitlementsRequest, call: Call) -> pb.ListEntitlementsResponse:
        """List what users may use, the newest grant first."""
        require_named(call.caller, organization_id=request.organization_id, purchase_type="")
        key, wanted = page_key(request), rows_wanted(request)
        async with self._database.reading() as reading:
            rows = await list_entitlements(
                reading,
                call.caller.scope,
                organization_id=request.organization_id,
                user_id=request.user_id,
                resource=request.resource,
                active_only=request.active_only,
                after=key,
                limit=wanted,
            )
        now = self._clock()
        entitlements, token = fill_page(
            request,
            rows,
            lambda row: entitlement_message(row, now),
            lambda row: (row.grant_time, row.order_id),
        )
        return pb.ListEntitlementsResponse(entitlements=entitlements, next_page_token=token)

    async def wait_order(self, request: pb.WaitOrderRequest, call: Call) -> AsyncGenerator[bytes, None]:
        """Tell an order's state until it is settled."""
        require_wait(request)
        return self._wait(request, call)

    async def _wait(self, request: pb.WaitOrderRequest, call: Call) -> AsyncGenerator[bytes, None]:
        async for response in self._waiting.responses(request, call.caller.scope):
            yield response.SerializeToString()

    async def refund_order(self, request: pb.RefundOrderRequest, call: Call) -> pb.RefundOrderResponse:
        """Give money back."""
        return await self._refunding.refund(request, call.caller, budget=call.budget)

    async def cancel_subscription(
        self, request: pb.CancelSubscriptionRequest, call: Call
    ) -> pb.CancelSubscriptionResponse:
        """End a subscription."""
        order = await self._cancellation.cancel(request, call.caller.scope, budget=call.budget)
        return pb.CancelSubscriptionResponse(order=order)

    async def stream_fulfillments(self, request: StreamFulfillmentsRequest, call: Call) -> AsyncGenerator[bytes, None]:
        """Send the log to a caller that keeps the cursor; the responses are serialized already."""
        return await self._streams.open(request, call.current_caller)

    async def consume_fulfillments(
        self, requests: AsyncIterator[ConsumeFulfillmentsRequest], call: Call
    ) -> AsyncGenerator[bytes, None]:
        """Send the log to the members of a subscriber, whose place the service keeps."""
        return await self._consumers.open(requests, call.current_caller)
