"""A subscription over time: each period is granted once; late, failed, paused and canceled ones say so."""

from uuid import uuid4

import grpc
import pytest

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent as Event
from payments_service.contract.pb.payments.v1.order_pb2 import (
    PAYMENT_STATE_PAID,
    PAYMENT_STATE_PARTIALLY_REFUNDED,
    SUBSCRIPTION_STATE_ACTIVE,
    SUBSCRIPTION_STATE_CANCELED,
    SUBSCRIPTION_STATE_PAST_DUE,
    SUBSCRIPTION_STATE_PAUSED,
)
from payments_service.contract.pb.payments.v1.payments_pb2 import CancelSubscriptionRequest

from .sales import DAY, ON_SQLITE, access, refund_request, refusal, sold, subscribed, told_of, until, verdicts
from .shop import Shop


async def test_each_period_is_granted_once_and_extends_access(shop: Shop) -> None:
    async with shop.subscribed() as told:
        order = await subscribed(shop, told)
        first = await access(shop, order)
        await shop.sandbox("POST", f"subscriptions/{order.subscription_id}/renew", {"paid": True})
        renewed = (await told.of(order, Event.TYPE_RENEWED)).order
        await until(shop, order, lambda now: told_of(told, order).count("FULFILLED") == 2)
        second = await access(shop, order)
        refund = await shop.payments.RefundOrder(refund_request(order))
        await told.of(order, Event.TYPE_REVOKED)
        third = await access(shop, order)

    assert sorted(told_of(told, order)[:3]) == ["CHECKOUT_COMPLETED", "FULFILLED", "PAYMENT_SUCCEEDED"]
    assert told_of(told, order)[3:] == ["RENEWED", "FULFILLED", "REFUNDED", "REVOKED"]
    assert renewed.current_period_end.seconds > order.current_period_end.seconds == first.expire_time.seconds
    assert second.expire_time == renewed.current_period_end
    assert refund.refund.amount.minor_units == 1500
    assert refund.order.payment_state == PAYMENT_STATE_PARTIALLY_REFUNDED
    assert third.expire_time == first.expire_time


@ON_SQLITE
async def test_deliveries_in_reverse_and_twice_end_the_same(shop: Shop) -> None:
    await shop.sandbox("PUT", "faults", {"webhooks": {"reorder": True, "duplicate": 1}})
    async with shop.subscribed() as told:
        order = await subscribed(shop, told)
        await shop.sandbox("POST", f"subscriptions/{order.subscription_id}/renew", {"paid": True})
        await until(shop, order, lambda now: told_of(told, order).count("FULFILLED") == 2)
        newest = (await shop.order_now(order)).fulfillments[0]
        await shop.sandbox("POST", f"payment_intents/{newest.payment_intent_id}/refund", {"amount": 100})
        await told.of(order, Event.TYPE_REFUNDED)
        await shop.sandbox("POST", f"payment_intents/{newest.payment_intent_id}/refund")
        await told.of(order, Event.TYPE_REVOKED)
        await verdicts(shop, "charge.refunded", 2)
        refunded = await shop.order_now(order)

    assert sorted(told_of(told, order)) == sorted(
        ["CHECKOUT_COMPLETED", "PAYMENT_SUCCEEDED", "RENEWED", "REVOKED", *["FULFILLED", "REFUNDED"] * 2]
    )
    assert (refunded.payment_state, refunded.refunded.minor_units) == (PAYMENT_STATE_PARTIALLY_REFUNDED, 1500)
    assert refunded.subscription_state == SUBSCRIPTION_STATE_ACTIVE


@pytest.mark.parametrize("failure", [{"paid": False}, {"action_required": True}])
@ON_SQLITE
async def test_a_failed_renewal_is_past_due_until_it_is_paid(shop: Shop, failure: dict[str, bool]) -> None:
    async with shop.subscribed() as told:
        order = await subscribed(shop, told)
        invoice = await shop.sandbox("POST", f"subscriptions/{order.subscription_id}/renew", failure)
        behind = (await told.of(order, Event.TYPE_RENEWAL_FAILED)).order
        held = await access(shop, order)
        await shop.sandbox("POST", f"invoices/{invoice['id']}/pay")
        await told.of(order, Event.TYPE_RENEWED)
        active = await until(shop, order, lambda now: now.subscription_state == SUBSCRIPTION_STATE_ACTIVE)

    assert (behind.subscription_state, behind.payment_state) == (SUBSCRIPTION_STATE_PAST_DUE, PAYMENT_STATE_PAID)
    assert not held.HasField("revoke_time")
    assert len(active.fulfillments) == 2


async def test_a_subscription_is_canceled_with_its_period_or_now(shop: Shop) -> None:
    async with shop.subscribed() as told:
        later, now = await subscribed(shop, told), await subscribed(shop, told)
        request = CancelSubscriptionRequest(request_id=str(uuid4()), order_id=later.order_id, at_period_end=True)
        scheduled = (await shop.payments.CancelSubscription(request)).order
        assert (await shop.payments.CancelSubscription(request)).order.cancel_at_period_end
        request = CancelSubscriptionRequest(request_id=str(uuid4()), order_id=now.order_id)
        canceled = (await shop.payments.CancelSubscription(request)).order
        again = (await shop.payments.CancelSubscription(request)).order
        await told.of(now, Event.TYPE_REVOKED)
        await shop.sandbox("POST", "clock", {"advance_seconds": 32 * DAY})
        ended = (await told.of(later, Event.TYPE_SUBSCRIPTION_CANCELED)).order
        course = await sold(shop, told)
        once = await refusal(
            shop.payments.CancelSubscription(
                CancelSubscriptionRequest(request_id=str(uuid4()), order_id=course.order_id)
            )
        )
        held = await access(shop, later)

    assert (scheduled.cancel_at_period_end, scheduled.subscription_state) == (True, SUBSCRIPTION_STATE_ACTIVE)
    assert canceled.subscription_state == again.subscription_state == SUBSCRIPTION_STATE_CANCELED
    assert told_of(told, now)[3:] == ["SUBSCRIPTION_CANCELED", "REVOKED"]
    assert told_of(told, later)[3:] == ["SUBSCRIPTION_CANCEL_SCHEDULED", "SUBSCRIPTION_CANCELED"]
    assert ended.subscription_state == SUBSCRIPTION_STATE_CANCELED
    assert not held.HasField("revoke_time")
    assert once == (grpc.StatusCode.FAILED_PRECONDITION, "NOT_A_SUBSCRIPTION")


@pytest.mark.parametrize("pause", [{"behavior": "void"}, {"status": True}])
@ON_SQLITE
async def test_a_subscription_pauses_and_goes_on(shop: Shop, pause: dict[str, object]) -> None:
    async with shop.subscribed() as told:
        order = await subscribed(shop, told)
        await shop.sandbox("POST", f"subscriptions/{order.subscription_id}/pause", pause)
        paused = (await told.of(order, Event.TYPE_SUBSCRIPTION_PAUSED)).order
        await shop.sandbox("POST", f"subscriptions/{order.subscription_id}/resume")
        resumed = (await told.of(order, Event.TYPE_SUBSCRIPTION_RESUMED)).order

    assert paused.subscription_state == SUBSCRIPTION_STATE_PAUSED
    assert resumed.subscription_state == SUBSCRIPTION_STATE_ACTIVE
