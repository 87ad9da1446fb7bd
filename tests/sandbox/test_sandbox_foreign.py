"""What is sold by other ways than our checkouts: Payment Links and dashboard invoices, with any metadata."""

import pytest
import stripe

from .money_scene import Telling
from .sandbox_driver import Controls
from .webhook_receiver import WebhookReceiver

OURS = {"type": "course", "organization_id": "org_1", "purchase.course_id": "sql"}


async def test_a_payment_links_metadata_reach_its_session_and_nothing_else(
    client: stripe.StripeClient, controls: Controls, receiver: WebhookReceiver
) -> None:
    opened = await controls.call("POST", "sessions", {"metadata": OURS, "amount": 1900, "currency": "eur"})
    assert opened["payment_link"].startswith("plink_")
    assert (opened["metadata"], opened["amount_total"], opened["currency"]) == (OURS, 1900, "eur")
    paid = await controls.move(opened["id"], "pay")
    intent = await client.v1.payment_intents.retrieve_async(paid["payment_intent"])
    assert intent.metadata.to_dict() == {}
    await receiver.until_types("checkout.session.completed")


async def test_a_payment_link_begins_a_subscription(client: stripe.StripeClient, controls: Controls) -> None:
    opened = await controls.call(
        "POST", "sessions", {"mode": "subscription", "subscription_metadata": OURS, "interval": "year"}
    )
    paid = await controls.move(opened["id"], "pay")
    subscription = (await client.v1.subscriptions.retrieve_async(paid["subscription"])).to_dict()
    assert (opened["metadata"], subscription["metadata"]) == ({}, OURS)


async def test_an_invoice_of_the_dashboard_is_open_until_it_is_paid(
    client: stripe.StripeClient, controls: Controls
) -> None:
    telling = Telling(client)
    sent = await controls.call("POST", "invoices", {"metadata": OURS, "amount": 50_000, "name": "Coaching"})
    assert (sent["status"], sent["billing_reason"], sent["parent"]) == ("open", "manual", None)
    assert (sent["metadata"], sent["amount_due"]) == (OURS, 50_000)
    assert await telling.types() == [
        "customer.created",
        "invoice.created",
        "invoice.finalized",
        "payment_intent.created",
    ]
    paid = await controls.call("POST", f"invoices/{sent['id']}/pay")
    assert (paid["status"], paid["amount_paid"]) == ("paid", 50_000)
    assert "invoice.paid" in await telling.types()
    listed = await client.v1.invoices.list_async({"customer": sent["customer"], "status": "paid"})
    assert [invoice.id for invoice in listed.data] == [sent["id"]]


async def test_an_invoices_metadata_are_mended_after_it_was_paid(
    client: stripe.StripeClient, controls: Controls
) -> None:
    sent = await controls.call("POST", "invoices", {"metadata": {"type": "course"}})
    await controls.call("POST", f"invoices/{sent['id']}/pay")
    mended = await client.v1.invoices.update_async(sent["id"], {"metadata": OURS})
    assert (mended.to_dict()["metadata"], mended.status) == (OURS, "paid")
    with pytest.raises(stripe.InvalidRequestError, match="can't be updated"):
        await client.v1.invoices.update_async(sent["id"], {"description": "other"})


async def test_a_connected_account_sells_too(client: stripe.StripeClient, controls: Controls) -> None:
    school: stripe.RequestOptions = {"stripe_account": "acct_school"}
    opened = await controls.call("POST", "sessions", {"mode": "subscription", "account": "acct_school"})
    paid = await controls.move(opened["id"], "pay")
    await controls.call("POST", f"subscriptions/{paid['subscription']}/renew")
    invoices = (await client.v1.invoices.list_async({}, school)).data
    assert len(invoices) == 2
    (payment, *_) = (await client.v1.invoice_payments.list_async({"invoice": invoices[0].id}, school)).data
    intent = payment.to_dict()["payment"]["payment_intent"]
    refund = await client.v1.refunds.create_async({"payment_intent": intent}, school)
    await controls.call("POST", f"refunds/{refund.id}/settle", {"status": "failed"})
    await controls.call("POST", f"payment_intents/{intent}/dispute")
    events = (await client.v1.events.list_async({"limit": 100}, school)).data
    assert {event.account for event in events} == {"acct_school"}
    assert {"refund.failed", "charge.dispute.created", "invoice.paid"} <= {str(event.type) for event in events}
    assert (await client.v1.events.list_async()).data == []
    await controls.call("POST", "clock", {"advance_seconds": 100 * 24 * 3600})
    assert len((await client.v1.invoices.list_async({}, school)).data) > 2


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("sessions", {"mode": "setup"}),
        ("sessions", {"amount": 1}),
        ("sessions", {"interval": "decade"}),
        ("sessions", {"metadata": {"k": 1}}),
        ("sessions", {"price": "price_1"}),
        ("invoices", {"amount": -1}),
        ("invoices", {"currency": "xxx"}),
    ],
)
async def test_what_cannot_be_sold_is_refused(controls: Controls, path: str, body: object) -> None:
    assert (await controls.call("POST", path, body, 400))["error"]["message"]
