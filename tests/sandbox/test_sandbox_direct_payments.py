"""What is paid without Checkout: intents, subscriptions and invoices made by the API, by Stripe's test cards."""

from typing import Any

import aiohttp
import pytest
import stripe

from stripe_sandbox.sandbox_server import Sandbox

from .money_scene import Telling
from .sandbox_driver import KEY, Controls, course
from .test_sandbox_money_objects import everything, faults


def intent_of(card: str) -> stripe.params.PaymentIntentCreateParams:
    return {
        "amount": 1000, "currency": "usd", "confirm": True, "payment_method": card, "metadata": {"k": "v"},
    }  # fmt: skip


async def customer_paying_by(client: stripe.StripeClient, card: str) -> str:
    wanted: Any = {
        "email": "a@example.com", "payment_method": card, "invoice_settings": {"default_payment_method": card},
    }  # fmt: skip
    return (await client.v1.customers.create_async(wanted)).id


async def monthly_price(client: stripe.StripeClient) -> str:
    product = await client.v1.products.create_async({"name": "Club"})
    price: Any = {"product": product.id, "currency": "usd", "unit_amount": 1500, "recurring": {"interval": "month"}}
    return (await client.v1.prices.create_async(price)).id


async def test_a_payment_intent_is_confirmed_by_a_card(client: stripe.StripeClient) -> None:
    telling = Telling(client)
    intent = await client.v1.payment_intents.create_async(intent_of("pm_card_visa"))
    charge = await client.v1.charges.retrieve_async(str(intent.latest_charge))
    assert (intent.status, charge.paid, charge.metadata.to_dict()) == ("succeeded", True, {"k": "v"})
    assert await telling.types() == ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]


async def test_a_declined_card_answers_402_and_leaves_what_happened(client: stripe.StripeClient) -> None:
    telling = Telling(client)
    for _ in range(2):
        with pytest.raises(stripe.CardError, match="declined") as refused:
            await client.v1.payment_intents.create_async(intent_of("pm_card_chargeDeclined"), {"idempotency_key": "k"})
        assert (refused.value.http_status, refused.value.code) == (402, "card_declined")
        assert '"decline_code": "generic_decline"' in str(refused.value.http_body)
    assert await telling.types() == ["payment_intent.created", "charge.failed", "payment_intent.payment_failed"]


async def test_a_card_that_is_none_is_refused_and_makes_nothing(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="No such PaymentMethod"):
        await client.v1.payment_intents.create_async(intent_of("pm_card_gold"))
    assert (await client.v1.payment_intents.list_async()).data == []
    assert (await client.v1.events.list_async()).data == []


async def test_a_subscription_begins_by_the_api(client: stripe.StripeClient) -> None:
    customer, price = await customer_paying_by(client, "pm_card_visa"), await monthly_price(client)
    wanted: Any = {"customer": customer, "items": [{"price": price, "quantity": 2}], "metadata": {"k": "v"}}
    begun = (await client.v1.subscriptions.create_async(wanted)).to_dict()
    invoice = (await client.v1.invoices.retrieve_async(begun["latest_invoice"])).to_dict()
    assert (begun["status"], begun["metadata"]) == ("active", {"k": "v"})
    assert (invoice["status"], invoice["amount_paid"]) == ("paid", 3000)
    assert invoice["parent"]["subscription_details"]["metadata"] == {"k": "v"}


async def test_a_declined_beginning_is_incomplete_until_its_invoice_is_paid(
    client: stripe.StripeClient, controls: Controls
) -> None:
    customer, price = await customer_paying_by(client, "pm_card_chargeCustomerFail"), await monthly_price(client)
    wanted: Any = {"customer": customer, "items": [{"price": price}]}
    begun = await client.v1.subscriptions.create_async(wanted)
    assert begun.status == "incomplete"
    with pytest.raises(stripe.CardError):
        await client.v1.invoices.pay_async(str(begun.latest_invoice))
    await client.v1.invoices.pay_async(str(begun.latest_invoice), {"payment_method": "pm_card_visa"})
    assert (await client.v1.subscriptions.retrieve_async(begun.id)).status == "active"


async def test_nothing_begins_without_something_to_charge(client: stripe.StripeClient) -> None:
    customer = (await client.v1.customers.create_async()).id
    wanted: Any = {"customer": customer, "items": [{"price": await monthly_price(client)}]}
    with pytest.raises(stripe.InvalidRequestError, match="no attached payment source"):
        await client.v1.subscriptions.create_async(wanted)
    wrong: list[Any] = [{"items": []}, {"items": [{"price": "price_none"}]}, {"trial_period_days": 7}]
    for changes in wrong:
        with pytest.raises(stripe.InvalidRequestError):
            await client.v1.subscriptions.create_async(wanted | changes)


async def test_pending_items_are_billed_by_the_next_invoice(client: stripe.StripeClient) -> None:
    customer = await customer_paying_by(client, "pm_card_visa")
    for amount in (700, 300):
        await client.v1.invoice_items.create_async({"customer": customer, "amount": amount, "currency": "usd"})
    drafted: Any = {"customer": customer, "pending_invoice_items_behavior": "include", "metadata": {"k": "v"}}
    draft = await client.v1.invoices.create_async(drafted)
    assert (draft.status, draft.amount_due) == ("draft", 1000)
    sent = await client.v1.invoices.finalize_invoice_async(draft.id)
    assert (sent.status, sent.number is not None) == ("open", True)
    paid = await client.v1.invoices.pay_async(draft.id)
    assert (paid.status, paid.amount_paid, paid.to_dict()["metadata"]) == ("paid", 1000, {"k": "v"})
    assert (await client.v1.invoices.create_async(drafted)).amount_due == 0
    for refused in (client.v1.invoices.pay_async, client.v1.invoices.finalize_invoice_async):
        with pytest.raises(stripe.InvalidRequestError):
            await refused(draft.id)


@pytest.mark.parametrize("end", ["void_invoice_async", "mark_uncollectible_async"])
async def test_an_open_invoice_is_given_up(client: stripe.StripeClient, end: str) -> None:
    customer = await customer_paying_by(client, "pm_card_visa")
    await client.v1.invoice_items.create_async({"customer": customer, "amount": 700, "currency": "usd"})
    wanted: Any = {"customer": customer, "pending_invoice_items_behavior": "include"}
    draft = await client.v1.invoices.create_async(wanted)
    await client.v1.invoices.finalize_invoice_async(draft.id)
    await getattr(client.v1.invoices, end)(draft.id)
    with pytest.raises(stripe.InvalidRequestError, match="isn't open"):
        await getattr(client.v1.invoices, end)(draft.id)
    assert faults(await everything(client)) == []


async def test_a_payment_method_is_made_attached_and_detached(client: stripe.StripeClient) -> None:
    customer = (await client.v1.customers.create_async()).id
    card: Any = {"type": "card", "card": {"token": "tok_visa"}, "billing_details": {"name": "A"}}
    made = await client.v1.payment_methods.create_async(card)
    attached = await client.v1.payment_methods.attach_async(made.id, {"customer": customer})
    settings: Any = {"invoice_settings": {"default_payment_method": made.id}}
    updated = (await client.v1.customers.update_async(customer, settings)).to_dict()
    assert (attached.customer, updated["invoice_settings"]["default_payment_method"]) == (customer, made.id)
    assert (await client.v1.payment_methods.detach_async(made.id)).customer is None
    assert faults(await everything(client)) == []
    for wrong in (
        {"type": "card"},
        {"type": "card", "card": {"token": "tok_x"}},
        {"type": "card", "card": {"number": "4"}},
    ):
        with pytest.raises(stripe.InvalidRequestError):
            await client.v1.payment_methods.create_async(wrong)  # type: ignore[arg-type]


async def test_a_checkouts_page_is_paid_by_a_method(
    client: stripe.StripeClient, sandbox: Sandbox, http: aiohttp.ClientSession
) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    session = await client.v1.checkout.sessions.create_async(course())
    page = f"{sandbox.url}/v1/payment_pages/{session.id}"

    async def confirm(**fields: str) -> int:
        async with http.post(page + "/confirm", data=fields, headers=headers) as reply:
            return reply.status

    assert await confirm(payment_method="pm_card_visa", expected_amount="1") == 400
    assert await confirm(payment_method="pm_card_chargeDeclined") == 402
    async with http.get(page, headers=headers) as reply:
        assert (await reply.json())["status"] == "open"
    assert await confirm(payment_method="pm_card_visa", expected_amount="4900") == 200
    assert await confirm(payment_method="pm_card_visa") == 400
    assert (await client.v1.checkout.sessions.retrieve_async(session.id)).payment_status == "paid"


@pytest.mark.parametrize(
    ("iban", "ends"),
    [
        ("AT611904300234573201", "checkout.session.async_payment_succeeded"),
        ("AT861904300235473202", "checkout.session.async_payment_failed"),
    ],
)
async def test_a_debits_bank_answers_by_the_clock(
    client: stripe.StripeClient, controls: Controls, iban: str, ends: str
) -> None:
    session = await client.v1.checkout.sessions.create_async(course())
    debit: Any = {"type": "sepa_debit", "sepa_debit": {"iban": iban}, "billing_details": {"email": "a@example.com"}}
    method = await client.v1.payment_methods.create_async(debit)
    page = f"{controls.url}/v1/payment_pages/{session.id}/confirm"
    headers = {"Authorization": f"Bearer {KEY}"}
    async with controls.session.post(page, data={"payment_method": method.id}, headers=headers) as reply:
        assert ((await reply.json())["status"], reply.status) == ("complete", 200)
    telling = Telling(client)
    assert (await telling.types())[-1] == "checkout.session.completed"
    await controls.call("POST", "clock", {"advance_seconds": 3})
    assert (await telling.types())[-1] == ends


async def test_only_a_call_that_names_no_version_may_use_old_names(
    client: stripe.StripeClient, sandbox: Sandbox, http: aiohttp.ClientSession
) -> None:
    old: Any = course(payment_method_types=["sepa_debit"])
    with pytest.raises(stripe.InvalidRequestError, match="payment_method_types"):
        await client.v1.checkout.sessions.create_async(old)
    form = {
        "mode": "payment",
        "success_url": "http://shop.test",
        "payment_method_types[]": "sepa_debit",
        "line_items[0][quantity]": "1",
        "line_items[0][price_data][currency]": "eur",
        "line_items[0][price_data][unit_amount]": "900",
        "line_items[0][price_data][product_data][name]": "Course",
    }
    headers = {"Authorization": f"Bearer {KEY}"}
    async with http.post(f"{sandbox.url}/v1/checkout/sessions", data=form, headers=headers) as reply:
        assert (await reply.json())["payment_method_types"] == ["sepa_debit"]
