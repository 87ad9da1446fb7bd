"""Disputes: the money is taken at once, and comes back where the dispute is won; an inquiry takes none."""

import pytest
import stripe

from .money_scene import Telling, charge_of, paid_course
from .sandbox_driver import Controls


@pytest.mark.parametrize(
    ("status", "told", "taken"),
    [
        ("lost", ["charge.dispute.closed"], [-4900]),
        ("won", ["charge.dispute.funds_reinstated", "charge.dispute.closed"], [-4900, 4900]),
    ],
)
async def test_a_dispute_is_opened_and_decided(
    client: stripe.StripeClient, controls: Controls, status: str, told: list[str], taken: list[int]
) -> None:
    intent = await paid_course(client, controls)
    telling = Telling(client)
    await telling.events()
    opened = await controls.call("POST", f"payment_intents/{intent['id']}/dispute")
    assert (opened["status"], opened["amount"], opened["payment_intent"]) == ("needs_response", 4900, intent["id"])
    assert opened["metadata"] == {}
    assert await telling.types() == ["charge.dispute.created", "charge.dispute.funds_withdrawn"]
    assert (await charge_of(client, intent))["disputed"]
    closed = await controls.call("POST", f"disputes/{opened['id']}/close", {"status": status})
    assert closed["status"] == status
    assert [entry["amount"] for entry in closed["balance_transactions"]] == taken
    assert await telling.types() == told
    await controls.call("POST", f"disputes/{opened['id']}/close", {"status": status}, 409)


async def test_a_disputed_payment_cannot_be_refunded_until_it_is_won(
    client: stripe.StripeClient, controls: Controls
) -> None:
    intent = await paid_course(client, controls)
    opened = await controls.call("POST", f"payment_intents/{intent['id']}/dispute", {"reason": "duplicate"})
    await controls.call("POST", f"payment_intents/{intent['id']}/dispute", status=409)
    with pytest.raises(stripe.InvalidRequestError, match="charged back") as refused:
        await client.v1.refunds.create_async({"payment_intent": intent["id"]})
    assert refused.value.code == "charge_disputed"
    await controls.call("POST", f"disputes/{opened['id']}/close", {"status": "won"})
    assert (await client.v1.refunds.create_async({"payment_intent": intent["id"]})).status == "succeeded"


async def test_an_inquiry_takes_no_money(client: stripe.StripeClient, controls: Controls) -> None:
    intent = await paid_course(client, controls)
    telling = Telling(client)
    await telling.events()
    opened = await controls.call("POST", f"payment_intents/{intent['id']}/dispute", {"inquiry": True})
    assert (opened["status"], opened["balance_transactions"]) == ("warning_needs_response", [])
    closed = await controls.call("POST", f"disputes/{opened['id']}/close", {"status": "won"})
    assert closed["status"] == "warning_closed"
    assert await telling.types() == ["charge.dispute.created", "charge.dispute.closed"]


async def test_a_test_card_is_disputed_as_soon_as_it_has_paid(client: stripe.StripeClient, controls: Controls) -> None:
    telling = Telling(client)
    intent = await paid_course(client, controls, "pm_card_createDispute")
    (dispute,) = (await client.v1.disputes.list_async({"payment_intent": intent["id"]})).data
    assert dispute.charge == intent["latest_charge"]
    types = await telling.types()
    assert types.index("charge.succeeded") < types.index("charge.dispute.created")


async def test_a_dispute_is_given_up_by_the_api(client: stripe.StripeClient, controls: Controls) -> None:
    intent = await paid_course(client, controls)
    opened = await controls.call("POST", f"payment_intents/{intent['id']}/dispute", {"amount": 1000})
    updated = await client.v1.disputes.update_async(opened["id"], {"metadata": {"k": "v"}})
    assert (updated.amount, updated.to_dict()["metadata"]) == (1000, {"k": "v"})
    assert (await client.v1.disputes.close_async(opened["id"])).status == "lost"
    assert (await client.v1.disputes.retrieve_async(opened["id"])).status == "lost"
    with pytest.raises(stripe.InvalidRequestError, match="already closed"):
        await client.v1.disputes.close_async(opened["id"])


@pytest.mark.parametrize("body", [{"amount": "all"}, {"amount": True}, {"reason": "spite"}, {"inquiry": 1}, {"x": 1}])
async def test_a_dispute_says_what_it_takes(client: stripe.StripeClient, controls: Controls, body: object) -> None:
    intent = await paid_course(client, controls)
    await controls.call("POST", f"payment_intents/{intent['id']}/dispute", body, 400)
