"""Refunds and disputes reach the order, its access and its subscribers, by the sandbox and the whole service."""

from typing import Any

import grpc
import pytest

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent as Event
from payments_service.contract.pb.payments.v1.order_pb2 import (
    FULFILLMENT_STATE_FULFILLED,
    FULFILLMENT_STATE_REVOKED,
    PAYMENT_STATE_CHARGED_BACK,
    PAYMENT_STATE_DISPUTED,
    PAYMENT_STATE_PAID,
    PAYMENT_STATE_PARTIALLY_REFUNDED,
    PAYMENT_STATE_REFUNDED,
    Order,
    Refund,
)

from .sales import AS_US, ON_SQLITE, access, refund_request, refusal, sold, told_of, until
from .shop import Shop


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
