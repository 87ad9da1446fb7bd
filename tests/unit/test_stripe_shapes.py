"""Stripe's own examples, and the shapes of older API versions, are read as the newest ones are."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from payments_service.inbox.event_envelope import read_event
from payments_service.orders.dispute_facts import observe_dispute
from payments_service.orders.invoice_facts import InvoiceFacts, observe_invoice
from payments_service.orders.ownership import object_metadata
from payments_service.orders.refund_facts import observe_refund
from payments_service.orders.session_facts import observe_session
from payments_service.orders.states import RefundState
from payments_service.orders.subscription_facts import observe_subscription

EXAMPLES: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "data" / "stripe-fixtures.json").read_text())[
    "resources"
]
NOW = datetime(2026, 11, 1, tzinfo=UTC)
LINE = {"period": {"start": 1_700_000_000, "end": 1_702_592_000}}

INVOICES: dict[str, dict[str, Any]] = {
    "2026-10-28.endive": {
        "parent": {"subscription_details": {"subscription": "sub_1", "metadata": {"type": "course"}}},
        "payments": {"data": [{"status": "paid", "payment": {"type": "payment_intent", "payment_intent": "pi_1"}}]},
        "lines": {"data": [LINE | {"parent": {"subscription_item_details": {"proration": False}}}]},
    },
    "2024-06-20": {
        "subscription": "sub_1",
        "subscription_details": {"metadata": {"type": "course"}},
        "payment_intent": "pi_1",
        "lines": {"data": [LINE | {"proration": False}]},
    },
    "2020-08-27": {
        "subscription": {"id": "sub_1", "object": "subscription"},
        "payment_intent": {"id": "pi_1", "object": "payment_intent"},
        "metadata": {"type": "course"},
        "paid": True,
        "lines": {"data": [LINE | {"proration": False}]},
    },
}


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
def test_every_one_of_stripes_examples_may_come_in_an_event(kind: str) -> None:
    body = {
        "id": "evt_1",
        "object": "event",
        "type": f"{kind}.updated",
        "created": 1_790_000_000,
        "livemode": False,
        "data": {"object": EXAMPLES[kind]},
    }

    event = read_event(json.dumps(body).encode(), NOW)

    assert event.object_id == EXAMPLES[kind].get("id", "")


def test_the_facts_of_stripes_examples_are_read() -> None:
    session = observe_session(EXAMPLES["checkout.session"] if "checkout.session" in EXAMPLES else EXAMPLES["session"])
    refund = observe_refund(EXAMPLES["refund"])
    dispute = observe_dispute(EXAMPLES["dispute"])
    subscription = observe_subscription(EXAMPLES["subscription"])

    assert session.payment_intent_id.startswith("pi_")
    assert (refund.state, refund.amount, refund.charge_id[:3]) == (RefundState.SUCCEEDED, 100, "ch_")
    assert not dispute.opened
    assert (subscription.status, subscription.ended) == ("active", False)


@pytest.mark.parametrize("version", sorted(INVOICES))
def test_a_paid_invoice_reads_alike_in_every_version(version: str) -> None:
    invoice: dict[str, Any] = {
        "id": "in_1",
        "object": "invoice",
        "status": "paid",
        "amount_paid": 4900,
        "currency": "usd",
    }
    invoice |= {"billing_reason": "subscription_cycle", **INVOICES[version]}

    facts = observe_invoice(invoice, "invoice.paid")

    assert facts == InvoiceFacts(
        invoice_id="in_1",
        paid=True,
        billing_reason="subscription_cycle",
        subscription_id="sub_1",
        payment_intent_id="pi_1",
        amount_paid=4900,
        currency="usd",
        period_start=1_700_000_000,
        period_end=1_702_592_000,
    )
    assert object_metadata(invoice) == {"type": "course"}
