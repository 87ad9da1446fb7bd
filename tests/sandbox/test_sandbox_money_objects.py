"""Whatever happens to money, every object and event of it fits Stripe's own schemas."""

from typing import Any

import stripe

from .money_scene import DAY, paid_course, subscribed
from .sandbox_driver import Controls, course
from .test_sandbox_objects import faults_of


async def everything(client: stripe.StripeClient) -> list[dict[str, Any]]:
    """Give all events, and what they are about."""
    events = [event.to_dict() async for event in (await client.v1.events.list_async({"limit": 100})).auto_paging_iter()]
    return events + [event["data"]["object"] for event in events]


def faults(bodies: list[dict[str, Any]]) -> list[str]:
    assert bodies
    return [fault for body in bodies for fault in faults_of(body)]


async def test_refunds_and_disputes_fit(client: stripe.StripeClient, controls: Controls) -> None:
    intent = await paid_course(client, controls)
    for status in ("succeeded", "pending", "failed"):
        await controls.call("POST", f"payment_intents/{intent['id']}/refund", {"amount": 100, "status": status})
    won = await controls.call("POST", f"payment_intents/{intent['id']}/dispute")
    await controls.call("POST", f"disputes/{won['id']}/close", {"status": "won"})
    await controls.call("POST", f"payment_intents/{intent['id']}/dispute", {"inquiry": True})
    session = await client.v1.checkout.sessions.create_async(course())
    await controls.move(session.id, "pay_later")
    debit = await controls.move(session.id, "settle")
    await controls.call("POST", f"payment_intents/{debit['payment_intent']}/refund")
    await controls.call("POST", f"payment_intents/{debit['payment_intent']}/dispute", {"reason": "general"})
    bodies = await everything(client)
    assert {body["object"] for body in bodies} >= {"refund", "dispute", "charge"}
    assert faults(bodies) == []


async def test_a_subscriptions_life_fits(client: stripe.StripeClient, controls: Controls) -> None:
    begun = await subscribed(client, controls)
    failed = await controls.call("POST", f"subscriptions/{begun['id']}/renew", {"paid": False})
    await controls.call("POST", f"invoices/{failed['id']}/pay")
    await controls.call("POST", f"subscriptions/{begun['id']}/renew", {"action_required": True})
    await controls.call("POST", f"subscriptions/{begun['id']}/pause")
    bodies = await everything(client)
    await controls.call("POST", "clock", {"advance_seconds": 70 * DAY})
    await controls.call("POST", f"subscriptions/{begun['id']}/resume")
    await controls.call("POST", f"subscriptions/{begun['id']}/cancel", {"at_period_end": True})
    await controls.call("POST", "clock", {"advance_seconds": 40 * DAY})
    bodies += await everything(client)
    payments = (await client.v1.invoice_payments.list_async({"invoice": failed["id"]})).data
    expanded = await client.v1.invoices.retrieve_async(failed["id"], {"expand": ["payments"]})
    kinds = {"subscription", "invoice", "invoice_payment", "payment_method", "customer", "payment_intent", "charge"}
    assert {body["object"] for body in bodies} >= kinds
    assert faults([*bodies, *(payment.to_dict() for payment in payments), expanded.to_dict()]) == []


async def test_what_others_sell_fits(client: stripe.StripeClient, controls: Controls) -> None:
    sent = await controls.call("POST", "invoices", {"metadata": {"k": "v"}})
    opened = await controls.call("POST", "sessions", {"mode": "subscription"})
    assert faults([sent, opened]) == []
    await controls.call("POST", f"invoices/{sent['id']}/pay")
    await controls.move(opened["id"], "pay")
    assert faults(await everything(client)) == []


def test_the_schemas_catch_a_wrong_dispute() -> None:
    assert faults_of({"object": "dispute", "status": "closed"})
