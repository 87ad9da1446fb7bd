"""A course is sold by Friday: created, paid, fulfilled and told, once; whatever is repeated changes nothing."""

import asyncio
import time
from pathlib import Path

import grpc
import pytest

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent
from payments_service.contract.pb.payments.v1.operations_pb2 import (
    ExplainOrderRequest,
    GetStatusRequest,
    ListStripeEventsRequest,
)
from payments_service.contract.pb.payments.v1.order_pb2 import (
    FULFILLMENT_STATE_FULFILLED,
    PAYMENT_STATE_OPEN,
    PAYMENT_STATE_PAID,
)
from payments_service.contract.pb.payments.v1.payments_pb2 import (
    CompleteFulfillmentRequest,
    GetOrderRequest,
    ListEntitlementsRequest,
)
from payments_service.contract.pb.payments.v1.purchase_pb2 import CustomPurchase, Purchase
from payments_service.contract.pb.payments.v1.stripe_event_pb2 import StripeEvent

from .shop import PATIENCE, Shop, checkout_request, open_shop, settings_in

Type = FulfillmentEvent


async def test_a_paid_course_reaches_its_subscriber_within_a_second(shop: Shop) -> None:
    async with shop.subscribed() as subscription:
        await shop.buyer(warm := await shop.checkout())
        await subscription.of(warm, Type.TYPE_FULFILLED)
        order = await shop.checkout()

        paid_at = time.monotonic()
        await shop.buyer(order)
        fulfilled = await subscription.of(order, Type.TYPE_FULFILLED)
        took = time.monotonic() - paid_at

    entitlements = await shop.payments.ListEntitlements(
        ListEntitlementsRequest(organization_id="org_1", user_id="user_1", active_only=True)
    )
    assert took < 1.0
    assert order.payment_state == PAYMENT_STATE_OPEN
    assert order.checkout_url.startswith(shop.running.sandbox_url)
    assert fulfilled.order.payment_state == PAYMENT_STATE_PAID
    assert fulfilled.order.fulfillment_state == FULFILLMENT_STATE_FULFILLED
    assert {e.order_id for e in entitlements.entitlements} == {warm.order_id, order.order_id}
    assert {e.resource for e in entitlements.entitlements} == {"courses/intro-to-sql"}


async def test_the_same_request_gives_the_same_order_and_another_body_is_refused(shop: Shop) -> None:
    request = checkout_request()
    first = (await shop.payments.CreateCheckout(request)).order
    again = (await shop.payments.CreateCheckout(request)).order
    request.user_id = "user_2"

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await shop.payments.CreateCheckout(request)

    assert again == first
    assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS


async def test_redeliveries_of_every_event_change_nothing(shop: Shop) -> None:
    async with shop.subscribed() as subscription:
        order = await shop.checkout()
        await shop.buyer(order)
        await subscription.of(order, Type.TYPE_FULFILLED)
        before = await shop.order_now(order)

        known = (await shop.operations.ListStripeEvents(ListStripeEventsRequest())).stripe_events
        for event in known:
            await shop.sandbox("POST", f"events/{event.stripe_event_id}/resend")
        await _until_deliveries(shop, 2 * len(known))

    assert len(known) >= 2
    assert await shop.order_now(order) == before
    told = [event.type for event in subscription.events if event.order_id == order.order_id]
    assert told == [Type.TYPE_CHECKOUT_COMPLETED, Type.TYPE_PAYMENT_SUCCEEDED, Type.TYPE_FULFILLED]


async def test_a_webhook_that_stripe_has_not_signed_is_refused(shop: Shop) -> None:
    url = f"{shop.running.bridge_url}/webhooks/stripe"
    async with shop.http.post(url, data=b"{}", headers={"Stripe-Signature": "t=1,v1=00"}) as reply:
        assert reply.status == 400

    assert not (await shop.operations.ListStripeEvents(ListStripeEventsRequest())).stripe_events


async def test_a_gift_card_is_made_by_the_service_that_owns_it(shop: Shop) -> None:
    purchase = Purchase(custom=CustomPurchase(type="gift_card", custom_id="g1", attributes={"design": "roses"}))
    async with shop.subscribed() as subscription:
        order = await shop.checkout(purchase)
        await shop.buyer(order)
        asked = await subscription.of(order, Type.TYPE_FULFILLMENT_REQUESTED)
        report = CompleteFulfillmentRequest(
            fulfillment_id=asked.fulfillment.fulfillment_id,
            generation=asked.fulfillment.generation,
            result={"card": "GC-1"},
        )
        await shop.payments.CompleteFulfillment(report)
        fulfilled = await subscription.of(order, Type.TYPE_FULFILLED)

    assert asked.order.purchase == purchase
    assert dict(fulfilled.fulfillment.result) == {"card": "GC-1"}


async def test_what_the_webhook_has_not_brought_is_asked_for(shop: Shop) -> None:
    await shop.sandbox("PUT", "faults", {"webhooks": {"drop": 1.0}})
    order = await shop.checkout()
    await shop.buyer(order)

    stale = await shop.order_now(order)
    fresh = await shop.payments.GetOrder(GetOrderRequest(order_id=order.order_id, refresh=True))

    assert (stale.payment_state, fresh.order.payment_state) == (PAYMENT_STATE_OPEN, PAYMENT_STATE_PAID)


async def test_an_operator_reads_the_orders_story_in_order(shop: Shop, database_url: str) -> None:
    async with shop.subscribed() as subscription:
        order = await shop.checkout()
        await shop.buyer(order)
        await subscription.of(order, Type.TYPE_FULFILLED)

        story = await shop.operations.ExplainOrder(ExplainOrderRequest(order_id=order.order_id))
        status = await shop.operations.GetStatus(GetStatusRequest())

    times = [entry.time.ToNanoseconds() for entry in story.entries]
    assert times == sorted(times)
    assert {"rpc", "stripe", "webhook", "fulfillment", "stream"} <= {entry.stage for entry in story.entries}
    assert (status.broker, status.livemode) == ("memory", False)
    assert status.database in database_url


async def test_a_restart_keeps_orders_the_log_and_the_sandbox(tmp_path: Path) -> None:
    async with open_shop(settings_in(tmp_path)) as shop, shop.subscribed() as subscription:
        order = await shop.checkout()
        later = await shop.checkout()
        await shop.buyer(order)
        await subscription.of(order, Type.TYPE_FULFILLED)
        told = len(subscription.events)

    async with open_shop(settings_in(tmp_path)) as shop, shop.subscribed() as subscription:
        await shop.buyer(later)
        await subscription.of(later, Type.TYPE_FULFILLED)

    assert len(subscription.events) == 2 * told


async def _until_deliveries(shop: Shop, wanted: int) -> None:
    """Wait until the inbox has counted so many deliveries, and none is left to work on."""
    async with asyncio.timeout(PATIENCE):
        while True:
            events = (await shop.operations.ListStripeEvents(ListStripeEventsRequest())).stripe_events
            open_now = [event for event in events if event.state == StripeEvent.STATE_PENDING]
            if sum(event.deliveries for event in events) >= wanted and not open_now:
                return
            await asyncio.sleep(0.02)
