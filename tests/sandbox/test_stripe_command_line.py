"""Stripe's own command line triggers events in the sandbox, and takes it for Stripe."""

from pathlib import Path

import pytest
import stripe
from stripe_cli.trigger import stripe_binary, trigger

from stripe_sandbox.sandbox_server import Sandbox

from .test_sandbox_objects import faults_of
from .webhook_receiver import WebhookReceiver

TRIGGERS = [
    "checkout.session.completed",
    "checkout.session.expired",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "charge.refunded",
    "charge.refund.updated",
    "charge.dispute.created",
    "charge.dispute.closed",
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "invoice.created",
    "invoice.finalized",
    "invoice.paid",
    "invoice.payment_succeeded",
    "invoice.payment_failed",
    "invoice.payment_action_required",
    "invoice.updated",
    "invoice.voided",
    "invoice.marked_uncollectible",
]


@pytest.fixture(scope="module")
def binary() -> Path:
    return stripe_binary()


@pytest.mark.parametrize("event_type", TRIGGERS)
async def test_an_event_is_triggered_and_comes(
    binary: Path, sandbox: Sandbox, receiver: WebhookReceiver, client: stripe.StripeClient, event_type: str
) -> None:
    printed = await trigger(binary, sandbox.url, event_type)
    assert "Trigger succeeded" in printed
    await receiver.until_types(event_type)
    events = [event.to_dict() for event in (await client.v1.events.list_async({"limit": 100})).data]
    assert [fault for event in events for body in (event, event["data"]["object"]) for fault in faults_of(body)] == []


async def test_what_a_developer_overrides_is_in_the_event(
    binary: Path, sandbox: Sandbox, receiver: WebhookReceiver
) -> None:
    await trigger(
        binary,
        sandbox.url,
        "checkout.session.completed",
        "--add",
        "checkout_session:metadata.type=course",
        "--stripe-account",
        "acct_school",
    )
    await receiver.until_types("checkout.session.completed")
    (completed,) = [event for event in receiver.events if event["type"] == "checkout.session.completed"]
    session = completed["data"]["object"]
    assert (session["metadata"], completed["account"]) == ({"type": "course"}, "acct_school")
    assert session["customer_details"]["email"] == "stripe@example.com"
