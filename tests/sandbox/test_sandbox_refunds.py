"""Refunds: parts, the rest, too much, once for each key; pending ones end later; the charge follows."""

import pytest
import stripe

from .money_scene import Telling, charge_of, paid_course
from .sandbox_driver import Controls, course
from .webhook_receiver import WebhookReceiver

UPDATED = ["refund.updated", "charge.refund.updated"]


async def test_a_part_and_then_the_rest_are_given_back(client: stripe.StripeClient, controls: Controls) -> None:
    intent = await paid_course(client, controls)
    telling = Telling(client)
    await telling.events()
    part = await client.v1.refunds.create_async({"payment_intent": intent["id"], "amount": 900, "reason": "duplicate"})
    charge = await charge_of(client, intent)
    assert (part.status, part.amount, part.charge, part.reason) == ("succeeded", 900, charge["id"], "duplicate")
    assert (charge["amount_refunded"], charge["refunded"]) == (900, False)
    rest = await client.v1.refunds.create_async({"charge": charge["id"]})
    charge = await charge_of(client, intent)
    assert (rest.amount, rest.payment_intent) == (4000, intent["id"])
    assert (charge["amount_refunded"], charge["refunded"]) == (4900, True)
    assert await telling.types() == ["refund.created", "charge.refunded"] * 2


async def test_a_refund_carries_its_own_metadata_and_none_of_the_payments(
    client: stripe.StripeClient, controls: Controls
) -> None:
    intent = await paid_course(client, controls)
    own = await client.v1.refunds.create_async(
        {"payment_intent": intent["id"], "amount": 100, "metadata": {"ours": "rfd_1"}}
    )
    dashboards = await controls.call("POST", f"payment_intents/{intent['id']}/refund", {"amount": 100})
    assert intent["metadata"] == {"order_id": "ord_1"}
    assert own.to_dict()["metadata"] == {"ours": "rfd_1"}
    assert dashboards["metadata"] == {}


@pytest.mark.parametrize(
    ("amount", "code", "words"),
    [
        (5000, None, r"Refund amount \(\$50.00\) is greater than unrefunded amount on charge \(\$49.00\)"),
        (0, "parameter_invalid_integer", "greater than or equal to 1"),
    ],
)
async def test_a_wrong_amount_is_refused_in_stripes_words(
    client: stripe.StripeClient, controls: Controls, amount: int, code: str | None, words: str
) -> None:
    intent = await paid_course(client, controls)
    with pytest.raises(stripe.InvalidRequestError, match=words) as refused:
        await client.v1.refunds.create_async({"payment_intent": intent["id"], "amount": amount})
    assert (refused.value.http_status, refused.value.param, refused.value.code) == (400, "amount", code)


async def test_what_was_given_back_is_not_given_back_again(client: stripe.StripeClient, controls: Controls) -> None:
    intent = await paid_course(client, controls)
    await client.v1.refunds.create_async({"payment_intent": intent["id"]})
    with pytest.raises(stripe.InvalidRequestError, match="has already been refunded") as refused:
        await client.v1.refunds.create_async({"payment_intent": intent["id"], "amount": 1})
    assert refused.value.code == "charge_already_refunded"


async def test_no_more_than_what_is_left_is_given_back(client: stripe.StripeClient, controls: Controls) -> None:
    intent = await paid_course(client, controls)
    await client.v1.refunds.create_async({"payment_intent": intent["id"], "amount": 900})
    with pytest.raises(stripe.InvalidRequestError, match=r"\(\$40.01\) is greater .* \(\$40.00\)"):
        await client.v1.refunds.create_async({"payment_intent": intent["id"], "amount": 4001})
    assert (await client.v1.refunds.create_async({"payment_intent": intent["id"], "amount": 4000})).amount == 4000


async def test_one_key_is_one_refund(client: stripe.StripeClient, controls: Controls) -> None:
    intent = await paid_course(client, controls)
    wanted: stripe.params.RefundCreateParams = {"payment_intent": intent["id"], "amount": 900}
    first = await client.v1.refunds.create_async(wanted, {"idempotency_key": "k"})
    again = await client.v1.refunds.create_async(wanted, {"idempotency_key": "k"})
    assert first.id == again.id
    assert (await charge_of(client, intent))["amount_refunded"] == 900


async def test_what_was_never_paid_cannot_be_refunded(client: stripe.StripeClient, controls: Controls) -> None:
    session = await client.v1.checkout.sessions.create_async(course())
    await controls.move(session.id, "decline")
    (intent,) = (await client.v1.payment_intents.list_async()).data
    for wanted, words in (
        ({"payment_intent": intent.id}, "does not have a successful charge to refund"),
        ({"payment_intent": "pi_none"}, "No such payment_intent"),
        ({}, "payment_intent or charge"),
        ({"charge": "ch_1", "payment_intent": "pi_1"}, "only specify one"),
        ({"payment_intent": intent.id, "instructions_email": "a@example.com"}, "does not play"),
    ):
        with pytest.raises(stripe.InvalidRequestError, match=words):
            await client.v1.refunds.create_async(wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "told", "refunded"),
    [
        ("succeeded", UPDATED, 900),
        ("failed", [*UPDATED, "refund.failed", "charge.updated"], 0),
        ("canceled", [*UPDATED, "charge.updated"], 0),
    ],
)
async def test_a_pending_refund_counts_until_it_fails(
    client: stripe.StripeClient, controls: Controls, status: str, told: list[str], refunded: int
) -> None:
    intent = await paid_course(client, controls)
    telling = Telling(client)
    await telling.events()
    made = await controls.call("POST", f"payment_intents/{intent['id']}/refund", {"amount": 900, "status": "pending"})
    assert await telling.types() == ["refund.created", "charge.refunded"]
    assert (await charge_of(client, intent))["amount_refunded"] == 900
    settled = await controls.call("POST", f"refunds/{made['id']}/settle", {"status": status})
    assert (settled["id"], settled["status"]) == (made["id"], status)
    assert await telling.types() == told
    assert (await charge_of(client, intent))["amount_refunded"] == refunded


async def test_a_succeeded_refund_may_still_fail_and_nothing_else(
    client: stripe.StripeClient, controls: Controls
) -> None:
    intent = await paid_course(client, controls)
    made = await controls.call("POST", f"payment_intents/{intent['id']}/refund")
    for status in ("succeeded", "canceled"):
        await controls.call("POST", f"refunds/{made['id']}/settle", {"status": status}, 409)
    await controls.call("POST", f"refunds/{made['id']}/settle", {"status": "failed"})
    await controls.call("POST", f"refunds/{made['id']}/settle", {"status": "succeeded"}, 409)
    charge = await charge_of(client, intent)
    assert (charge["amount_refunded"], charge["refunded"]) == (0, False)
    again = await client.v1.refunds.create_async({"payment_intent": intent["id"]})
    assert again.amount == 4900


async def test_a_refund_that_fails_at_once_has_been_pending(
    client: stripe.StripeClient, controls: Controls, receiver: WebhookReceiver
) -> None:
    intent = await paid_course(client, controls)
    made = await controls.call("POST", f"payment_intents/{intent['id']}/refund", {"status": "failed"})
    assert (made["status"], made["failure_reason"]) == ("failed", "unknown")
    await receiver.until_types("refund.failed")
    created = next(event for event in receiver.events if event["type"] == "refund.created")
    assert created["data"]["object"]["status"] == "pending"


async def test_a_debit_is_given_back_slowly(client: stripe.StripeClient, controls: Controls) -> None:
    session = await client.v1.checkout.sessions.create_async(course())
    await controls.move(session.id, "pay_later")
    settled = await controls.move(session.id, "settle")
    refund = await client.v1.refunds.create_async({"payment_intent": settled["payment_intent"]})
    assert (refund.status, refund.to_dict()["pending_reason"]) == ("pending", "processing")


@pytest.mark.parametrize(
    ("card", "begins", "ends"),
    [("pm_card_pendingRefund", "pending", "succeeded"), ("pm_card_refundFail", "succeeded", "failed")],
)
async def test_refunds_of_stripes_test_cards_settle_by_the_clock(
    client: stripe.StripeClient, controls: Controls, card: str, begins: str, ends: str
) -> None:
    intent = await paid_course(client, controls, card)
    refund = await client.v1.refunds.create_async({"payment_intent": intent["id"]})
    assert refund.status == begins
    await controls.call("POST", "clock", {"advance_seconds": 60})
    assert (await client.v1.refunds.retrieve_async(refund.id)).status == ends


async def test_refunds_are_listed_by_their_payment_and_in_pages(
    client: stripe.StripeClient, controls: Controls
) -> None:
    intent, other = await paid_course(client, controls), await paid_course(client, controls)
    made = [
        (await client.v1.refunds.create_async({"payment_intent": intent["id"], "amount": 100})).id for _ in range(3)
    ]
    await client.v1.refunds.create_async({"payment_intent": other["id"]})
    by_payment = await client.v1.refunds.list_async({"payment_intent": intent["id"], "limit": 2})
    by_charge = await client.v1.refunds.list_async({"charge": intent["latest_charge"]})
    assert [refund.id for refund in by_payment.data] == made[:0:-1]
    assert by_payment.has_more
    assert [refund.id for refund in by_charge.data] == made[::-1]
    expanded = await client.v1.charges.retrieve_async(intent["latest_charge"], {"expand": ["refunds"]})
    assert [refund["id"] for refund in expanded.to_dict()["refunds"]["data"]] == made[::-1]


async def test_an_update_tells_what_was_there_before(client: stripe.StripeClient, controls: Controls) -> None:
    intent = await paid_course(client, controls)
    refund = await client.v1.refunds.create_async({"payment_intent": intent["id"], "amount": 900})
    telling = Telling(client)
    charged = next(event for event in await telling.events() if event["type"] == "charge.refunded")
    assert charged["data"]["previous_attributes"] == {"amount_refunded": 0}
    await client.v1.refunds.update_async(refund.id, {"metadata": {"k": "v"}})
    updated = await telling.events()
    assert [event["type"] for event in updated] == UPDATED
    assert updated[0]["data"]["previous_attributes"] == {"metadata": {"k": None}}
