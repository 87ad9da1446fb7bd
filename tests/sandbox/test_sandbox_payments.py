"""What a payment leaves behind: states, objects, metadata, and the events in Stripe's order."""

import pytest
import stripe

from .sandbox_driver import Controls, course, membership
from .webhook_receiver import WebhookReceiver

CARD_EVENTS = [
    "payment_intent.created",
    "charge.succeeded",
    "payment_intent.succeeded",
    "checkout.session.completed",
]
SUBSCRIPTION_EVENTS = [
    "customer.created",
    "payment_method.attached",
    "customer.subscription.created",
    "invoice.created",
    "invoice.finalized",
    "payment_intent.created",
    "charge.succeeded",
    "payment_intent.succeeded",
    "invoice.payment_succeeded",
    "invoice.paid",
    "invoice_payment.paid",
    "checkout.session.completed",
]


async def _emitted(client: stripe.StripeClient) -> list[str]:
    listed = await client.v1.events.list_async({"limit": 100})
    return [str(event.type) for event in reversed(listed.data)]


async def test_a_session_is_open_without_a_payment_intent(client: stripe.StripeClient) -> None:
    session = await client.v1.checkout.sessions.create_async(course())
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)
    assert session.url is not None
    assert session.url.endswith(f"/pay/{session.id}")
    assert session.amount_total == 4900


async def test_a_card_payment_completes_the_session_and_emits_in_stripes_order(
    client: stripe.StripeClient, controls: Controls, receiver: WebhookReceiver
) -> None:
    session = await client.v1.checkout.sessions.create_async(course())
    paid = await controls.move(session.id, "pay")
    assert (paid["status"], paid["payment_status"], paid["url"]) == ("complete", "paid", None)
    assert await _emitted(client) == CARD_EVENTS
    await receiver.until_types(*CARD_EVENTS)


async def test_metadata_of_the_payment_intent_reach_the_charge(client: stripe.StripeClient, controls: Controls) -> None:
    session = await client.v1.checkout.sessions.create_async(course())
    paid = await controls.move(session.id, "pay")
    intent = await client.v1.payment_intents.retrieve_async(paid["payment_intent"])
    charge = await client.v1.charges.retrieve_async(str(intent.latest_charge))
    assert intent.metadata.to_dict() == charge.metadata.to_dict() == {"order_id": "ord_1"}
    assert (intent.status, charge.paid, charge.payment_intent) == ("succeeded", True, intent.id)


async def test_a_delayed_payment_settles(client: stripe.StripeClient, controls: Controls) -> None:
    session = await client.v1.checkout.sessions.create_async(course())
    later = await controls.move(session.id, "pay_later")
    assert (later["status"], later["payment_status"]) == ("complete", "unpaid")
    settled = await controls.move(session.id, "settle")
    assert settled["payment_status"] == "paid"
    assert (await _emitted(client))[-1] == "checkout.session.async_payment_succeeded"


async def test_a_delayed_payment_fails_once(client: stripe.StripeClient, controls: Controls) -> None:
    session = await client.v1.checkout.sessions.create_async(course())
    await controls.move(session.id, "pay_later")
    failed = await controls.move(session.id, "fail")
    assert (failed["status"], failed["payment_status"]) == ("complete", "unpaid")
    assert (await _emitted(client))[-1] == "checkout.session.async_payment_failed"
    await controls.move(session.id, "settle", 409)


async def test_a_declined_card_leaves_the_session_open_and_is_tried_again_on_the_same_intent(
    client: stripe.StripeClient, controls: Controls
) -> None:
    session = await client.v1.checkout.sessions.create_async(course())
    declined = await controls.move(session.id, "decline")
    assert (declined["status"], declined["payment_intent"]) == ("open", None)
    await controls.move(session.id, "pay")
    intents = await client.v1.payment_intents.list_async()
    assert [intent.status for intent in intents.data] == ["succeeded"]
    assert "charge.failed" in await _emitted(client)


async def test_a_free_checkout_needs_no_payment(client: stripe.StripeClient, controls: Controls) -> None:
    item = {"price_data": {"currency": "usd", "unit_amount": 0, "product_data": {"name": "Gift"}}, "quantity": 1}
    session = await client.v1.checkout.sessions.create_async(course(line_items=[item]))
    done = await controls.move(session.id, "pay")
    assert (done["payment_status"], done["payment_intent"]) == ("no_payment_required", None)


async def test_a_subscription_begins_with_its_first_paid_invoice(
    client: stripe.StripeClient, controls: Controls
) -> None:
    session = await client.v1.checkout.sessions.create_async(membership())
    paid = await controls.move(session.id, "pay")
    assert await _emitted(client) == SUBSCRIPTION_EVENTS
    invoice = (await client.v1.invoices.retrieve_async(paid["invoice"])).to_dict()
    details = invoice["parent"]["subscription_details"]
    assert details == {"metadata": {"order_id": "ord_2"}, "subscription": paid["subscription"]}
    assert invoice["billing_reason"] == "subscription_create"


async def test_moves_in_the_wrong_state_are_refused(client: stripe.StripeClient, controls: Controls) -> None:
    session = await client.v1.checkout.sessions.create_async(course())
    refused = await controls.move(session.id, "settle", 409)
    assert "awaits no delayed payment" in refused["error"]["message"]
    await controls.move(session.id, "expire")
    for move in ("pay", "pay_later", "decline", "expire"):
        await controls.move(session.id, move, 409)
    await controls.move("cs_test_none", "pay", 404)
    await controls.move(session.id, "explode", 404)


async def test_time_expires_open_sessions(
    client: stripe.StripeClient, controls: Controls, receiver: WebhookReceiver
) -> None:
    session = await client.v1.checkout.sessions.create_async(course())
    await controls.call("POST", "clock", {"advance_seconds": 24 * 3600 + 1})
    assert (await client.v1.checkout.sessions.retrieve_async(session.id)).status == "expired"
    await receiver.until_types("checkout.session.expired")


async def test_expiring_twice_is_refused_in_stripes_words(client: stripe.StripeClient) -> None:
    session = await client.v1.checkout.sessions.create_async(course())
    expired = await client.v1.checkout.sessions.expire_async(session.id)
    assert (expired.status, expired.url) == ("expired", None)
    with pytest.raises(stripe.InvalidRequestError, match="status of expired"):
        await client.v1.checkout.sessions.expire_async(session.id)
