"""What the acceptance tests of money do again and again: sell, wait until an order is so, and read what was told."""

import asyncio
from collections.abc import Callable
from typing import Any, cast
from uuid import uuid4

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo  # type: ignore[import-untyped]
from grpc_status.rpc_status import from_call

from payments_service.contract.pb.payments.v1.entitlement_pb2 import Entitlement
from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent as Event
from payments_service.contract.pb.payments.v1.operations_pb2 import ListStripeEventsRequest
from payments_service.contract.pb.payments.v1.order_pb2 import Order
from payments_service.contract.pb.payments.v1.payments_pb2 import (
    ListEntitlementsRequest,
    RefundOrderRequest,
)
from payments_service.contract.pb.payments.v1.purchase_pb2 import LineItem, Money, PriceData, Recurrence
from payments_service.contract.pb.payments.v1.stripe_event_pb2 import StripeEvent

from .shop import PATIENCE, Shop, Subscription

DAY = 24 * 3600
AS_US = {"Authorization": "Bearer sk_test_123456789"}
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def sold(shop: Shop, told: Subscription) -> Order:
    """Sell a course of 49 euros."""
    order = await shop.checkout()
    await shop.buyer(order)
    await told.of(order, Event.TYPE_FULFILLED)
    return await shop.order_now(order)


async def subscribed(shop: Shop, told: Subscription) -> Order:
    """Sell a membership of 15 euros a month."""
    monthly = Recurrence(interval=Recurrence.INTERVAL_MONTH)
    amount = Money(currency_code="EUR", minor_units=1500)
    price = PriceData(unit_amount=amount, product_name="Club", recurrence=monthly)
    order = await shop.checkout(line_items=[LineItem(price_data=price)])
    await shop.buyer(order)
    await told.of(order, Event.TYPE_FULFILLED)
    return await until(shop, order, lambda now: bool(now.subscription_id and now.payment_intent_id))


async def until(shop: Shop, order: Order, holds: Callable[[Order], bool]) -> Order:
    """Wait until an order is as it is to be."""
    async with asyncio.timeout(PATIENCE):
        while not holds(now := await shop.order_now(order)):  # noqa: ASYNC110  # there is no event to wait for
            await asyncio.sleep(0.02)
    return now


async def access(shop: Shop, order: Order) -> Entitlement:
    """Read what the buyer may use."""
    listed = await shop.payments.ListEntitlements(ListEntitlementsRequest(organization_id="org_1"))
    (found,) = [entitlement for entitlement in listed.entitlements if entitlement.order_id == order.order_id]
    return found


def told_of(told: Subscription, order: Order) -> list[str]:
    """Name the events of an order, in their order."""
    return [Event.Type.Name(event.type)[5:] for event in told.events if event.order_id == order.order_id]


def refund_request(order: Order, cents: int = 0, **changes: Any) -> RefundOrderRequest:  # noqa: ANN401
    """Ask for a refund of so much, or of what is left."""
    amount = {"amount": Money(currency_code="EUR", minor_units=cents)} if cents else {}
    return RefundOrderRequest(**({"request_id": str(uuid4()), "order_id": order.order_id} | amount | changes))


async def refusal(call: Any) -> tuple[grpc.StatusCode, str]:  # noqa: ANN401
    """Make a call that is refused, and give the code and the reason."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    info = ErrorInfo()
    (detail,) = [one for one in from_call(cast("grpc.Call", refused.value)).details if one.Is(ErrorInfo.DESCRIPTOR)]
    detail.Unpack(info)
    return refused.value.code(), info.reason


async def verdicts(shop: Shop, event_type: str, count: int) -> list[int]:
    """Wait for the verdicts on so many events of a type."""
    request = ListStripeEventsRequest(type=event_type)
    async with asyncio.timeout(PATIENCE):
        while True:
            states: list[int] = [
                event.state for event in (await shop.operations.ListStripeEvents(request)).stripe_events
            ]
            if len(states) == count and StripeEvent.STATE_PENDING not in states:
                return states
            await asyncio.sleep(0.02)
