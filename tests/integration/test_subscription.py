"""A subscription owes one fulfillment for each paid period, whichever event tells of it first, and access follows."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent
from payments_service.orders.states import FulfillmentState, PaymentState, StripeEventState, SubscriptionState
from payments_service.storage.entitlement_rows import EntitlementRow, find_entitlement
from payments_service.storage.order_rows import OrderRow

from .stages import Stages, open_stages, session_of

COMPLETED = "checkout.session.completed"
MONTH = 30 * 24 * 3600
START = 1_790_000_000
Type = FulfillmentEvent


def invoice_of(order: OrderRow, period: int, **changes: object) -> dict[str, Any]:
    """Give Stripe's invoice of a period, from 0."""
    start = START + period * MONTH
    line = {"period": {"start": start, "end": start + MONTH}, "parent": {"subscription_item_details": {}}}
    details = {"subscription": "sub_1", "metadata": session_of(order)["metadata"]}
    invoice = {
        "id": f"in_{period}",
        "object": "invoice",
        "status": "paid",
        "billing_reason": "subscription_cycle" if period else "subscription_create",
        "amount_paid": 4900,
        "currency": "usd",
        "parent": {"type": "subscription_details", "subscription_details": details},
        "payments": {"data": [{"status": "paid", "payment": {"payment_intent": f"pi_{period}"}}]},
        "lines": {"data": [line]},
    }
    return invoice | changes


def session(order: OrderRow) -> dict[str, Any]:
    return session_of(order) | {"subscription": "sub_1", "invoice": "in_0", "payment_intent": None}


async def subscribed(stages: Stages) -> OrderRow:
    order = await stages.order(mode=2)
    await stages.tell(COMPLETED, session(order))
    await stages.tell("invoice.paid", invoice_of(order, 0))
    await work(stages, order)
    return await stages.order_now(order.order_id)


async def work(stages: Stages, order: OrderRow) -> None:
    for row in await stages.owed(order.order_id):
        await stages.fulfillments.work(row.fulfillment_id)


async def entitlement(stages: Stages, order: OrderRow) -> EntitlementRow:
    async with stages.database.reading() as reading:
        row = await find_entitlement(reading, order.order_id)
    assert row is not None
    return row


def end_of(period: int) -> datetime:
    return datetime.fromtimestamp(START + (period + 1) * MONTH, UTC)


@pytest.mark.parametrize("order_told", list(permutations(["session", "invoice", "invoice again"])))
def test_completion_and_first_invoice_owe_one_fulfillment_between_them(
    order_told: tuple[str, ...], tmp_path: Path
) -> None:
    async def tell_all() -> None:
        async with open_stages(tmp_path) as stages:
            order = await stages.order(mode=2)
            for told in order_told:
                if told == "session":
                    await stages.tell(COMPLETED, session(order))
                else:
                    await stages.tell("invoice.paid", invoice_of(order, 0))
                await work(stages, order)
            (row,) = await stages.owed(order.order_id)
            moved = await stages.order_now(order.order_id)
            types = [event.type for event in await stages.log()]
            held = await entitlement(stages, order)
        assert (row.source_id, row.state, row.payment_intent_id) == ("in_0", FulfillmentState.FULFILLED, "pi_0")
        assert (moved.payment_state, moved.subscription_state) == (PaymentState.PAID, SubscriptionState.ACTIVE)
        assert sorted(types) == [Type.TYPE_CHECKOUT_COMPLETED, Type.TYPE_PAYMENT_SUCCEEDED, Type.TYPE_FULFILLED]
        assert held.expire_time == row.period_end == end_of(0)

    asyncio.run(tell_all())


async def test_each_later_paid_invoice_owes_one_more_and_extends_access(stages: Stages) -> None:
    order = await subscribed(stages)

    await stages.tell("invoice.paid", invoice_of(order, 1))
    await stages.tell("invoice.payment_succeeded", invoice_of(order, 1))
    await work(stages, order)

    held = await entitlement(stages, order)
    assert {row.source_id for row in await stages.owed(order.order_id)} == {"in_0", "in_1"}
    assert (held.expire_time, held.access_end_time) == (end_of(1), end_of(1) + timedelta(days=3))
    assert [event.type for event in await stages.log()][-2:] == [Type.TYPE_RENEWED, Type.TYPE_FULFILLED]
    assert (await stages.order_now(order.order_id)).current_period_end == end_of(1)


async def test_a_failed_renewal_is_past_due_and_access_stays_for_the_grace(stages: Stages) -> None:
    order = await subscribed(stages)

    await stages.tell("invoice.payment_failed", invoice_of(order, 1, status="open", amount_paid=0))
    behind = await stages.order_now(order.order_id)
    await stages.tell("invoice.paid", invoice_of(order, 1))
    recovered = await stages.order_now(order.order_id)

    held = await entitlement(stages, order)
    assert behind.subscription_state == SubscriptionState.PAST_DUE
    assert behind.payment_state == PaymentState.PAID
    assert held.access_end_time == end_of(0) + timedelta(days=3)
    assert recovered.subscription_state == SubscriptionState.ACTIVE
    assert [event.type for event in await stages.log()][-2:] == [Type.TYPE_RENEWAL_FAILED, Type.TYPE_RENEWED]


async def test_a_failure_that_is_told_after_the_payment_changes_nothing(stages: Stages) -> None:
    order = await subscribed(stages)
    await stages.tell("invoice.paid", invoice_of(order, 1))
    await stages.tell("invoice.payment_failed", invoice_of(order, 1, status="open"))

    assert (await stages.order_now(order.order_id)).subscription_state == SubscriptionState.ACTIVE
    assert Type.TYPE_RENEWAL_FAILED not in [event.type for event in await stages.log()]


async def test_a_prorated_change_owes_nothing(stages: Stages) -> None:
    order = await subscribed(stages)

    await stages.tell("invoice.paid", invoice_of(order, 1, billing_reason="subscription_update"))

    assert len(await stages.owed(order.order_id)) == 1


async def test_the_end_at_the_periods_end_takes_the_grace_away_and_nothing_else(stages: Stages) -> None:
    order = await subscribed(stages)
    ended = int(end_of(0).timestamp())
    gone = {"id": "sub_1", "object": "subscription", "status": "canceled", "ended_at": ended}

    event = await stages.tell("customer.subscription.deleted", gone, subscription_id="sub_1")
    await work(stages, order)

    held = await entitlement(stages, order)
    assert event.state == StripeEventState.APPLIED
    assert (await stages.order_now(order.order_id)).subscription_state == SubscriptionState.CANCELED
    assert (held.expire_time, held.access_end_time, held.revoke_time) == (end_of(0), end_of(0), None)
    assert [event.type for event in await stages.log()][-1] == Type.TYPE_SUBSCRIPTION_CANCELED


async def test_the_end_before_the_periods_end_revokes_what_is_left_of_it(stages: Stages) -> None:
    order = await subscribed(stages)
    gone = {"id": "sub_1", "object": "subscription", "status": "canceled", "ended_at": START + 3600}

    await stages.tell("customer.subscription.deleted", gone, subscription_id="sub_1")
    await work(stages, order)

    assert (await entitlement(stages, order)).revoke_time is not None
    assert (await stages.order_now(order.order_id)).fulfillment_state == FulfillmentState.REVOKED


async def test_a_refund_of_one_payment_revokes_that_payment_alone(stages: Stages) -> None:
    order = await subscribed(stages)
    await stages.tell("invoice.paid", invoice_of(order, 1))
    await work(stages, order)
    refund = {"id": "re_1", "object": "refund", "status": "succeeded", "amount": 4900, "payment_intent": "pi_1"}

    await stages.tell("refund.updated", refund | {"currency": "usd"})
    await work(stages, order)

    states = {row.source_id: row.state for row in await stages.owed(order.order_id)}
    moved = await stages.order_now(order.order_id)
    assert states == {"in_0": FulfillmentState.FULFILLED, "in_1": FulfillmentState.REVOKED}
    assert moved.payment_state == PaymentState.PARTIALLY_REFUNDED
    assert (await entitlement(stages, order)).expire_time == end_of(0)
