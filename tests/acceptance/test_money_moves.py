"""What happens to the money afterwards reaches the order and its subscribers, by the sandbox and the real processes."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import uuid4

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo  # type: ignore[import-untyped]
from grpc_status.rpc_status import from_call

from payments_service.contract.pb.payments.v1.entitlement_pb2 import Entitlement
from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent as Event
from payments_service.contract.pb.payments.v1.operations_pb2 import ListStripeEventsRequest, ReplayStripeEventsRequest
from payments_service.contract.pb.payments.v1.order_pb2 import (
    FULFILLMENT_STATE_FULFILLED,
    FULFILLMENT_STATE_REVOKED,
    PAYMENT_STATE_AWAITING_FUNDS,
    PAYMENT_STATE_CHARGED_BACK,
    PAYMENT_STATE_DISPUTED,
    PAYMENT_STATE_OPEN,
    PAYMENT_STATE_PAID,
    PAYMENT_STATE_PARTIALLY_REFUNDED,
    PAYMENT_STATE_REFUNDED,
    SUBSCRIPTION_STATE_ACTIVE,
    SUBSCRIPTION_STATE_CANCELED,
    SUBSCRIPTION_STATE_PAST_DUE,
    SUBSCRIPTION_STATE_PAUSED,
    Order,
    Refund,
)
from payments_service.contract.pb.payments.v1.payments_pb2 import (
    CancelSubscriptionRequest,
    ListEntitlementsRequest,
    RefundOrderRequest,
    WaitOrderRequest,
)
from payments_service.contract.pb.payments.v1.purchase_pb2 import LineItem, Money, PriceData, Recurrence
from payments_service.contract.pb.payments.v1.stripe_event_pb2 import StripeEvent

from .shop import PATIENCE, Shop, Subscription

DAY = 24 * 3600
AS_US = {"Authorization": "Bearer sk_test_123456789"}
_ADOPTED_BY = {
    "sessions": ("checkout/sessions", "checkout.session.completed"),
    "invoices": ("invoices", "invoice.payment_succeeded"),
}
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


async def refunds_at_stripe(shop: Shop, order: Order) -> list[dict[str, Any]]:
    """List what Stripe has refunded of an order's payment."""
    url = f"{shop.running.sandbox_url}/v1/refunds?payment_intent={order.payment_intent_id}"
    async with shop.http.get(url, headers=AS_US) as reply:
        return list((await reply.json())["data"])


async def test_a_part_is_refunded_then_the_rest_and_never_more(shop: Shop) -> None:
    async with shop.subscribed() as told:
        order = await sold(shop, told)
        request = refund_request(order, 900)
        part = await shop.payments.RefundOrder(request)
        again = await shop.payments.RefundOrder(request)
        too_much = await refusal(shop.payments.RefundOrder(refund_request(order, 4001)))
        kept = await access(shop, order)
        rest = await shop.payments.RefundOrder(refund_request(order))
        await told.of(order, Event.TYPE_REVOKED)
        nothing = await refusal(shop.payments.RefundOrder(refund_request(order)))
        request.amount.minor_units = 901
        reused = await refusal(shop.payments.RefundOrder(request))
        refunded = await shop.order_now(order)

    assert (part.refund.state, part.order.payment_state) == (Refund.STATE_SUCCEEDED, PAYMENT_STATE_PARTIALLY_REFUNDED)
    assert again.refund == part.refund
    assert too_much == (grpc.StatusCode.FAILED_PRECONDITION, "REFUND_EXCEEDS_PAYMENT")
    assert not kept.HasField("revoke_time")
    assert (rest.refund.amount.minor_units, rest.order.payment_state) == (4000, PAYMENT_STATE_REFUNDED)
    assert nothing == (grpc.StatusCode.FAILED_PRECONDITION, "NOTHING_TO_REFUND")
    assert reused == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    assert (refunded.refunded.minor_units, refunded.fulfillment_state) == (4900, FULFILLMENT_STATE_REVOKED)
    assert told_of(told, order)[3:] == ["REFUNDED", "REFUNDED", "REVOKED"]


async def test_a_refund_whose_answer_was_lost_is_made_once(shop: Shop) -> None:
    async with shop.subscribed() as told:
        order = await sold(shop, told)
        request = refund_request(order, 900)
        await shop.sandbox("PUT", "faults", {"api": {"status": 500, "when": "after"}, "webhooks": {"drop": 1.0}})
        lost = await refusal(shop.payments.RefundOrder(request, timeout=30))
        await shop.sandbox("DELETE", "faults")
        found = await shop.payments.RefundOrder(request)
        (at_stripe,) = await refunds_at_stripe(shop, order)

    assert lost == (grpc.StatusCode.UNAVAILABLE, "STRIPE_OUTCOME_UNKNOWN")
    assert (found.refund.refund_id, found.refund.state) == (at_stripe["id"], Refund.STATE_SUCCEEDED)
    assert found.order.refunded.minor_units == 900


async def test_a_refund_of_the_dashboard_is_the_same(shop: Shop) -> None:
    async with shop.subscribed() as told:
        order = await sold(shop, told)
        await shop.sandbox("POST", f"payment_intents/{order.payment_intent_id}/refund", {"amount": 900})
        part = (await told.of(order, Event.TYPE_REFUNDED)).order
        await shop.sandbox("POST", f"payment_intents/{order.payment_intent_id}/refund")
        revoked = (await told.of(order, Event.TYPE_REVOKED)).order
        held = await access(shop, order)

    assert part.payment_state == PAYMENT_STATE_PARTIALLY_REFUNDED
    assert revoked.payment_state == PAYMENT_STATE_REFUNDED
    assert held.HasField("revoke_time")
    assert told_of(told, order)[3:] == ["REFUNDED", "REFUNDED", "REVOKED"]


@ON_SQLITE
async def test_a_pending_refund_counts_as_spent_and_one_that_fails_gives_access_back(shop: Shop) -> None:
    async with shop.subscribed() as told:
        order = await sold(shop, told)
        path = f"payment_intents/{order.payment_intent_id}/refund"
        pending = await shop.sandbox("POST", path, {"status": "pending"})
        waiting = await until(shop, order, lambda now: bool(now.refunds))
        spent = await refusal(shop.payments.RefundOrder(refund_request(order, 1)))
        await shop.sandbox("POST", f"refunds/{pending['id']}/settle", {"status": "succeeded"})
        await told.of(order, Event.TYPE_REVOKED)
        await shop.sandbox("POST", f"refunds/{pending['id']}/settle", {"status": "failed"})
        await told.of(order, Event.TYPE_RESTORED)
        await until(shop, order, lambda now: told_of(told, order)[-1:] == ["FULFILLED"])
        restored = await shop.order_now(order)

    assert (waiting.payment_state, waiting.refunds[0].state) == (PAYMENT_STATE_PAID, Refund.STATE_PENDING)
    assert spent == (grpc.StatusCode.FAILED_PRECONDITION, "NOTHING_TO_REFUND")
    assert (restored.payment_state, restored.refunds[0].state) == (PAYMENT_STATE_PAID, Refund.STATE_FAILED)
    assert told_of(told, order)[3:] == ["REFUNDED", "REVOKED", "REFUND_FAILED", "RESTORED", "FULFILLED"]
    assert not (await access(shop, order)).HasField("revoke_time")


@pytest.mark.parametrize(
    ("status", "state", "ends"),
    [
        ("won", PAYMENT_STATE_PAID, ["DISPUTE_OPENED", "DISPUTE_WON"]),
        ("lost", PAYMENT_STATE_CHARGED_BACK, ["DISPUTE_OPENED", "DISPUTE_LOST", "REVOKED"]),
    ],
)
@ON_SQLITE
async def test_a_dispute_is_decided(shop: Shop, status: str, state: int, ends: list[str]) -> None:
    async with shop.subscribed() as told:
        order = await sold(shop, told)
        opened = await shop.sandbox("POST", f"payment_intents/{order.payment_intent_id}/dispute")
        disputed = (await told.of(order, Event.TYPE_DISPUTE_OPENED)).order
        await shop.sandbox("POST", f"disputes/{opened['id']}/close", {"status": status})
        decided = await until(shop, order, lambda now: now.payment_state == state)
        await until(shop, order, lambda now: told_of(told, order)[3:] == ends)

    assert (disputed.payment_state, disputed.fulfillment_state) == (PAYMENT_STATE_DISPUTED, FULFILLMENT_STATE_FULFILLED)
    assert decided.payment_state == state


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


async def test_a_waiter_is_told_each_state_until_the_purchase_is_handed_over(shop: Shop) -> None:
    order = await shop.checkout()
    async with waiting(shop, order) as states:
        await shop.buyer(order, "pay_later")
        await until_state(states, PAYMENT_STATE_AWAITING_FUNDS)
        await shop.buyer(order, "settle")

    assert states[0] == (PAYMENT_STATE_OPEN, False)
    assert (PAYMENT_STATE_AWAITING_FUNDS, False) in states
    assert states[-1] == (PAYMENT_STATE_PAID, True)
    assert (await shop.order_now(order)).fulfillment_state == FULFILLMENT_STATE_FULFILLED


@ON_SQLITE
async def test_a_waiter_asks_stripe_where_webhooks_do_not_come(shop: Shop) -> None:
    await shop.sandbox("PUT", "faults", {"webhooks": {"drop": 1.0}})
    order = await shop.checkout()
    async with waiting(shop, order) as states:
        await shop.buyer(order)

    assert states[0] == (PAYMENT_STATE_OPEN, False)
    assert states[-1] == (PAYMENT_STATE_PAID, True)


@ON_SQLITE
async def test_what_others_sell_with_our_metadata_is_adopted_and_nothing_else(shop: Shop) -> None:
    course = {"type": "course", "organization_id": "org_1", "user_id": "u_1", "purchase.course_id": "sql"}
    service = {"type": "service", "organizationId": "org_1", "userId": "u_2", "customId": "coaching"}
    async with shop.subscribed() as told:
        link = await shop.sandbox("POST", "sessions", {"metadata": course})
        await shop.sandbox("POST", f"sessions/{link['id']}/pay")
        sent = await shop.sandbox("POST", "invoices", {"metadata": service, "amount": 50_000})
        await shop.sandbox("POST", f"invoices/{sent['id']}/pay")
        member = await shop.sandbox(
            "POST", "sessions", {"mode": "subscription", "metadata": course, "subscription_metadata": course}
        )
        await shop.sandbox("POST", f"sessions/{member['id']}/pay")
        other = await shop.sandbox("POST", "sessions", {"metadata": {"type": "credits", "userId": "u_1"}})
        await shop.sandbox("POST", f"sessions/{other['id']}/pay")
        by_user = await told.until(
            lambda events: (
                {"u_1", "u_2"} <= {one.order.user_id for one in events if one.fulfillment.fulfillment_id}
                and sum(one.type == Event.TYPE_FULFILLED for one in events) == 2
            )
        )
        sessions = await verdicts(shop, "checkout.session.completed", 3)

    adopted = {one.order_id: one.order for one in by_user}
    assert {order.created_by for order in adopted.values()} == {"stripe"}
    assert sorted(order.user_id for order in adopted.values()) == ["u_1", "u_1", "u_2"]
    assert sessions.count(StripeEvent.STATE_UNCLAIMED) == 1


@pytest.mark.parametrize("kind", ["sessions", "invoices"])
@ON_SQLITE
async def test_what_is_broken_is_named_and_applied_once_it_is_mended_at_stripe(shop: Shop, kind: str) -> None:
    broken = {"type": "course", "organization_id": "org_1", "user_id": "u_1"}
    api_path, event_type = _ADOPTED_BY[kind]
    async with shop.subscribed() as told:
        sold_elsewhere = await shop.sandbox("POST", kind, {"metadata": broken})
        await shop.sandbox("POST", f"{kind}/{sold_elsewhere['id']}/pay")
        assert await verdicts(shop, event_type, 1) == [StripeEvent.STATE_FAILED]
        (failed,) = (await shop.operations.ListStripeEvents(ListStripeEventsRequest(type=event_type))).stripe_events
        url = f"{shop.running.sandbox_url}/v1/{api_path}/{sold_elsewhere['id']}"
        async with shop.http.post(url, data={"metadata[purchase.course_id]": "sql"}, headers=AS_US) as reply:
            assert reply.status == 200
        ids = [failed.stripe_event_id]
        shown = await shop.operations.ReplayStripeEvents(ReplayStripeEventsRequest(stripe_event_ids=ids, dry_run=True))
        assert await verdicts(shop, event_type, 1) == [StripeEvent.STATE_FAILED]
        await shop.operations.ReplayStripeEvents(ReplayStripeEventsRequest(stripe_event_ids=ids))
        events = await told.until(lambda all_told: Event.TYPE_FULFILLED in [one.type for one in all_told])

    assert "purchase.course.course_id" in failed.verdict_reason
    assert shown.matched == 1
    assert events[-1].order.purchase.course.course_id == "sql"


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


@asynccontextmanager
async def waiting(shop: Shop, order: Order) -> Any:  # noqa: ANN401
    """Wait for an order beside what the test does, and for the end of waiting; gives the states as they come."""
    states: list[tuple[int, bool]] = []
    request = WaitOrderRequest(order_id=order.order_id, max_wait=Duration(seconds=int(PATIENCE)))

    async def read() -> None:
        async for response in shop.payments.WaitOrder(request):
            states.append((response.order.payment_state, response.settled))

    reading = asyncio.create_task(read())
    await until_state(states, PAYMENT_STATE_OPEN)
    yield states
    await reading


async def until_state(states: list[tuple[int, bool]], wanted: int) -> None:
    """Wait until a waiter was told a state."""
    async with asyncio.timeout(PATIENCE):
        while wanted not in [state for state, _ in states]:  # noqa: ASYNC110  # there is no event to wait for
            await asyncio.sleep(0.01)
