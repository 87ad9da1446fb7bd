"""CancelSubscription: Stripe is asked to end it now or at the period's end, and its answer is folded into the order."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from payments_service.checkout.call_deadline import CallDeadline
from payments_service.checkout.checkout_request import is_uuid
from payments_service.checkout.order_view import view_order
from payments_service.contract.pb.payments.v1.order_pb2 import Order
from payments_service.contract.pb.payments.v1.payments_pb2 import CancelSubscriptionRequest
from payments_service.errors import (
    FieldViolation,
    InvalidRequestError,
    NotASubscriptionError,
    OrderNotFoundError,
    StripeRejectedError,
)
from payments_service.inbox.waker import Waker
from payments_service.orders.observation import SubscriptionSeen
from payments_service.orders.order_fold import fold
from payments_service.orders.states import PaymentState, SubscriptionState
from payments_service.scope import Scope
from payments_service.storage.database import Database
from payments_service.storage.order_rows import OrderRow, find_order, lock_order
from payments_service.storage.timeline_rows import TimelineRow, add_timeline_row
from payments_service.stripe_gateway.client import StripeGateway


class Cancellation:
    """Ends subscriptions; one that has ended already is the same success."""

    def __init__(self, database: Database, gateway: StripeGateway, waker: Waker, clock: Callable[[], datetime]) -> None:
        """Take Stripe, and whom to wake."""
        self._database = database
        self._gateway = gateway
        self._waker = waker
        self._clock = clock

    async def cancel(self, request: CancelSubscriptionRequest, scope: Scope, *, budget: float) -> Order:
        """End an order's subscription; raises NotASubscriptionError and Stripe's errors."""
        deadline = CallDeadline(budget)
        _check(request)
        order = await self._find(request.order_id, scope)
        if order.subscription_state != SubscriptionState.CANCELED:
            order = await self._fold(order, request, await self._ask(order, request, deadline))
        return await view_order(self._database, order)

    async def _find(self, order_id: str, scope: Scope) -> OrderRow:
        async with self._database.reading() as reading:
            order = await find_order(reading, order_id, scope)
        if order is None:
            raise OrderNotFoundError(f"There is no order {order_id!r}.", order_id=order_id)
        if not order.subscription_id:
            state = PaymentState(order.payment_state).name
            raise NotASubscriptionError(f"{order_id} is {state} and has no subscription that could end.", state=state)
        return order

    async def _ask(self, order: OrderRow, request: CancelSubscriptionRequest, deadline: CallDeadline) -> dict[str, Any]:
        """Ask Stripe; where it refuses because the subscription has ended already, that is the answer."""
        subscription_id = order.subscription_id or ""
        on_account = {"account": order.stripe_account}
        key = f"{order.order_id}-cancel-{request.request_id.lower()}"
        try:
            if request.at_period_end:
                return await self._gateway.schedule_cancellation(
                    subscription_id, idempotency_key=key, budget=deadline.for_stripe(), **on_account
                )
            return await self._gateway.cancel_subscription(
                subscription_id, idempotency_key=key, budget=deadline.for_stripe(), **on_account
            )
        except StripeRejectedError:
            present = await self._gateway.retrieve_subscription(
                subscription_id, budget=deadline.for_stripe(), **on_account
            )
            if present.get("status") != "canceled":
                raise
            return present

    async def _fold(
        self, order: OrderRow, request: CancelSubscriptionRequest, subscription: dict[str, Any]
    ) -> OrderRow:
        now = self._clock()
        when = "at the period's end" if request.at_period_end else "now"
        async with self._database.transaction() as tx:
            locked = await lock_order(tx, order.order_id) or order
            folded = await fold(tx, locked, [SubscriptionSeen(subscription)], now)
            line = TimelineRow(now, "rpc", f"asked to cancel the subscription {when}", request.request_id)
            await add_timeline_row(tx, order.order_id, line)
        self._waker.poke_log()
        for fulfillment_id in folded.due_fulfillment_ids:
            self._waker.wake_fulfillment(fulfillment_id)
        return folded.order


def _check(request: CancelSubscriptionRequest) -> None:
    violations = []
    if not is_uuid(request.request_id):
        violations.append(FieldViolation("request_id", "must be a UUID that you make once and repeat on retries"))
    if not request.order_id:
        violations.append(FieldViolation("order_id", "is required"))
    if violations:
        raise InvalidRequestError(violations)
