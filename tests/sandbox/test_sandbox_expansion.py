"""`expand` replaces ids by objects, as deep as Stripe goes, in single objects and in lists."""

import pytest
import stripe

from .sandbox_driver import Controls, course, membership


async def test_a_sessions_items_are_expanded(client: stripe.StripeClient) -> None:
    session = await client.v1.checkout.sessions.create_async(course(expand=["line_items.data.price.product"]))
    assert session.line_items is not None
    item = session.line_items.data[0].to_dict()
    assert (item["description"], item["price"]["product"]["name"]) == ("Course", "Course")


async def test_a_payment_is_expanded_down_to_its_charge(client: stripe.StripeClient, controls: Controls) -> None:
    made = await client.v1.checkout.sessions.create_async(course())
    wanted = ["payment_intent", "payment_intent.latest_charge", "customer"]
    still_open = await client.v1.checkout.sessions.retrieve_async(made.id, {"expand": wanted})
    assert (still_open.payment_intent, still_open.customer) == (None, None)
    await controls.move(made.id, "pay")
    paid = (await client.v1.checkout.sessions.retrieve_async(made.id, {"expand": wanted})).to_dict()
    assert paid["payment_intent"]["latest_charge"]["paid"]
    listed = await client.v1.checkout.sessions.list_async({"expand": ["data.payment_intent"]})
    assert listed.to_dict()["data"][0]["payment_intent"]["id"] == paid["payment_intent"]["id"]


async def test_a_subscription_is_expanded(client: stripe.StripeClient, controls: Controls) -> None:
    made = await client.v1.checkout.sessions.create_async(membership())
    paid = await controls.move(made.id, "pay")
    params: stripe.params.SubscriptionRetrieveParams = {"expand": ["latest_invoice", "customer"]}
    subscription = (await client.v1.subscriptions.retrieve_async(paid["subscription"], params)).to_dict()
    assert subscription["latest_invoice"]["billing_reason"] == "subscription_create"
    assert subscription["customer"]["object"] == "customer"


@pytest.mark.parametrize("path", ["payment_intent.nothing.x", "a.b.c.d.e", "url", "data.payment_intent", ""])
async def test_what_cannot_be_expanded_is_refused(client: stripe.StripeClient, controls: Controls, path: str) -> None:
    made = await client.v1.checkout.sessions.create_async(course())
    await controls.move(made.id, "pay")
    with pytest.raises(stripe.InvalidRequestError):
        await client.v1.checkout.sessions.retrieve_async(made.id, {"expand": [path]})
