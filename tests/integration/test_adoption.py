"""What was bought elsewhere with our metadata becomes an order, once; what is broken is named, and never guessed at."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from payments_service.contract.pb.payments.v1.purchase_pb2 import CoursePurchase, CustomPurchase, Purchase
from payments_service.orders.states import FulfillmentState, PaymentState, StripeEventState
from payments_service.storage.tables import orders

from .stages import Stages, open_stages

COMPLETED = "checkout.session.completed"


def link_session(metadata: dict[str, str], **changes: object) -> dict[str, Any]:
    session = {
        "id": "cs_link",
        "object": "checkout.session",
        "status": "complete",
        "payment_status": "paid",
        "payment_intent": "pi_7",
        "customer": "cus_7",
        "amount_total": 1900,
        "currency": "eur",
        "metadata": metadata,
    }
    return session | changes


async def order_count(stages: Stages) -> int:
    async with stages.database.reading() as reading:
        return int((await reading.execute(select(func.count()).select_from(orders))).scalar_one())


@pytest.mark.parametrize(
    ("metadata", "purchase", "user"),
    [
        (
            {"type": "course", "organization_id": "org_1", "user_id": "u_1", "purchase.course_id": "sql"},
            Purchase(course=CoursePurchase(course_id="sql")),
            "u_1",
        ),
        (
            {"type": "course", "organizationId": "org_1", "userId": "u_1", "customId": "sql"},
            Purchase(course=CoursePurchase(course_id="sql")),
            "u_1",
        ),
        (
            {"type": "gift_card", "organizationId": "org_1", "customId": "g_1"},
            Purchase(custom=CustomPurchase(type="gift_card", custom_id="g_1")),
            "cus_7",
        ),
    ],
)
async def test_a_payment_link_with_our_metadata_becomes_an_order(
    stages: Stages, metadata: dict[str, str], purchase: Purchase, user: str
) -> None:
    event = await stages.tell(COMPLETED, link_session(metadata))

    assert event.state == StripeEventState.APPLIED
    assert event.order_id is not None
    order = await stages.order_now(event.order_id)
    assert (order.organization_id, order.user_id, order.created_by) == ("org_1", user, "stripe")
    assert (order.payment_state, order.customer_id) == (PaymentState.PAID, "cus_7")
    assert Purchase.FromString(order.purchase) == purchase
    assert (await stages.fulfill(order.order_id)).state != FulfillmentState.FAILED


@pytest.mark.parametrize(
    ("metadata", "named"),
    [
        ({"type": "course", "user_id": "u_1", "purchase.course_id": "sql"}, "metadata.organization_id"),
        ({"type": "course", "organization_id": "org_1", "purchase.course_id": "sql"}, "metadata.user_id"),
        ({"type": "course", "organization_id": "org_1", "user_id": "u_1"}, "purchase.course.course_id"),
        (
            {"type": "course", "organization_id": "org_1", "user_id": "u_1", "purchase.colour": "red"},
            "purchase.colour",
        ),
    ],
)
async def test_broken_metadata_fails_with_the_field_named(stages: Stages, metadata: dict[str, str], named: str) -> None:
    event = await stages.tell(COMPLETED, link_session(metadata, customer=None))

    assert event.state == StripeEventState.FAILED
    assert named in event.verdict_reason
    assert await order_count(stages) == 0


async def test_a_credits_session_with_type_and_user_is_never_adopted(stages: Stages) -> None:
    event = await stages.tell(COMPLETED, link_session({"type": "credits", "userId": "u_1", "customId": "c_1"}))

    assert event.state == StripeEventState.UNCLAIMED
    assert await order_count(stages) == 0


async def test_an_invoice_of_another_system_with_our_metadata_is_adopted(stages: Stages) -> None:
    metadata = {"type": "service", "organization_id": "org_1", "user_id": "u_1", "purchase.service_id": "coaching"}
    invoice = {
        "id": "in_7",
        "object": "invoice",
        "status": "paid",
        "billing_reason": "manual",
        "amount_paid": 50_000,
        "currency": "eur",
        "metadata": metadata,
        "payment_intent": "pi_9",
    }

    event = await stages.tell("invoice.paid", invoice)

    assert event.state == StripeEventState.APPLIED
    assert event.order_id is not None
    fulfilled = await stages.fulfill(event.order_id)
    assert (fulfilled.source_id, fulfilled.state) == ("in_7", FulfillmentState.AWAITING_OWNER)


def test_two_events_at_once_adopt_one_order(tmp_path: Path) -> None:
    async def adopt() -> int:
        metadata = {"type": "course", "organization_id": "org_1", "user_id": "u_1", "purchase.course_id": "sql"}
        session = link_session(metadata, subscription="sub_7", invoice="in_7", payment_intent=None)
        invoice = {
            "id": "in_7",
            "object": "invoice",
            "status": "paid",
            "billing_reason": "subscription_create",
            "amount_paid": 1900,
            "currency": "eur",
            "subscription": "sub_7",
            "payment_intent": "pi_7",
            "subscription_details": {"metadata": metadata},
        }
        async with open_stages(tmp_path) as stages:
            ids = [await stages.store(COMPLETED, session), await stages.store("invoice.paid", invoice)]
            await asyncio.gather(*(stages.events.work(event_id) for event_id in ids))
            events = [await stages.event_now(event_id) for event_id in ids]
            assert {event.state for event in events} <= {StripeEventState.APPLIED, StripeEventState.IGNORED}
            (owed,) = await stages.owed(events[0].order_id or "")
            assert owed.source_id == "in_7"
            return await order_count(stages)

    assert asyncio.run(adopt()) == 1
