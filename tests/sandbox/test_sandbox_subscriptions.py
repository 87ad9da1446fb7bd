"""Subscriptions live on: renewed by hand and by the clock, behind and caught up, paused, canceled now or later."""

from datetime import UTC, datetime
from typing import Any

import pytest
import stripe

from stripe_sandbox.subscription_objects import period_end

from .money_scene import DAY, Telling, subscribed
from .sandbox_driver import Controls, membership

RENEWED = [
    "invoice.created",
    "customer.subscription.updated",
    "invoice.finalized",
    "payment_intent.created",
    "charge.succeeded",
    "payment_intent.succeeded",
    "invoice.payment_succeeded",
    "invoice.paid",
    "invoice_payment.paid",
]
FAILED = [
    *RENEWED[:4],
    "charge.failed",
    "payment_intent.payment_failed",
    "invoice.payment_failed",
    "customer.subscription.updated",
]
CAUGHT_UP = [*RENEWED[4:8], "customer.subscription.updated", "invoice_payment.paid"]


async def now_of(client: stripe.StripeClient, subscription: dict[str, Any]) -> dict[str, Any]:
    return (await client.v1.subscriptions.retrieve_async(subscription["id"])).to_dict()


def period_of(subscription: dict[str, Any]) -> tuple[int, int]:
    (item,) = subscription["items"]["data"]
    return item["current_period_start"], item["current_period_end"]


async def payments_of(client: stripe.StripeClient, invoice_id: str, **more: str) -> list[dict[str, Any]]:
    listed = await client.v1.invoice_payments.list_async({"invoice": invoice_id, **more})  # type: ignore[arg-type]
    return [payment.to_dict() for payment in listed.data]


async def test_each_period_has_an_invoice_and_a_payment_of_its_own(
    client: stripe.StripeClient, controls: Controls
) -> None:
    begun = await subscribed(client, controls)
    telling = Telling(client)
    await telling.events()
    invoice = await controls.call("POST", f"subscriptions/{begun['id']}/renew", {"paid": True})
    assert await telling.types() == RENEWED
    renewed = await now_of(client, begun)
    (line,) = invoice["lines"]["data"]
    assert (invoice["billing_reason"], invoice["status"], invoice["amount_paid"]) == (
        "subscription_cycle",
        "paid",
        1500,
    )
    assert (invoice["period_start"], invoice["period_end"]) == period_of(begun)
    assert (line["period"]["start"], line["period"]["end"]) == period_of(renewed)
    assert period_of(renewed)[0] == period_of(begun)[1]
    assert (renewed["status"], renewed["latest_invoice"]) == ("active", invoice["id"])
    (first,), (second,) = [await payments_of(client, one) for one in (begun["latest_invoice"], invoice["id"])]
    assert first["payment"]["payment_intent"] != second["payment"]["payment_intent"]


async def test_metadata_are_where_stripe_puts_them(client: stripe.StripeClient, controls: Controls) -> None:
    begun = await subscribed(client, controls)
    invoice = await controls.call("POST", f"subscriptions/{begun['id']}/renew")
    (payment,) = await payments_of(client, invoice["id"], status="paid")
    intent = (await client.v1.payment_intents.retrieve_async(payment["payment"]["payment_intent"])).to_dict()
    charge = (await client.v1.charges.retrieve_async(intent["latest_charge"])).to_dict()
    details = invoice["parent"]["subscription_details"]
    assert begun["metadata"] == details["metadata"] == invoice["lines"]["data"][0]["metadata"] == {"order_id": "ord_2"}
    assert invoice["metadata"] == intent["metadata"] == charge["metadata"] == {}
    assert not {"payments", "payment_intent", "subscription", "charge"} & invoice.keys()
    expanded = await client.v1.invoices.retrieve_async(invoice["id"], {"expand": ["payments"]})
    assert [one["id"] for one in expanded.to_dict()["payments"]["data"]] == [payment["id"]]


async def test_an_invoice_keeps_the_metadata_of_its_time(client: stripe.StripeClient, controls: Controls) -> None:
    begun = await subscribed(client, controls)
    await client.v1.subscriptions.update_async(begun["id"], {"metadata": {"order_id": "", "seat": "7"}})
    later = await controls.call("POST", f"subscriptions/{begun['id']}/renew")
    first = (await client.v1.invoices.retrieve_async(begun["latest_invoice"])).to_dict()
    assert first["parent"]["subscription_details"]["metadata"] == {"order_id": "ord_2"}
    assert later["parent"]["subscription_details"]["metadata"] == {"seat": "7"}


async def test_a_failed_renewal_is_caught_up_by_paying_its_invoice(
    client: stripe.StripeClient, controls: Controls
) -> None:
    begun = await subscribed(client, controls)
    telling = Telling(client)
    await telling.events()
    invoice = await controls.call("POST", f"subscriptions/{begun['id']}/renew", {"paid": False})
    assert await telling.types() == FAILED
    assert (invoice["status"], invoice["attempt_count"], invoice["amount_remaining"]) == ("open", 1, 1500)
    assert (await now_of(client, begun))["status"] == "past_due"
    assert [one["status"] for one in await payments_of(client, invoice["id"])] == ["open"]
    paid = await controls.call("POST", f"invoices/{invoice['id']}/pay")
    assert await telling.types() == CAUGHT_UP
    assert (paid["status"], paid["attempt_count"]) == ("paid", 2)
    assert (await now_of(client, begun))["status"] == "active"
    await controls.call("POST", f"invoices/{invoice['id']}/pay", status=409)


async def test_a_renewal_that_needs_the_buyer_is_behind_until_it_is_paid(
    client: stripe.StripeClient, controls: Controls
) -> None:
    begun = await subscribed(client, controls)
    telling = Telling(client)
    await telling.events()
    invoice = await controls.call("POST", f"subscriptions/{begun['id']}/renew", {"action_required": True})
    assert await telling.types() == [
        *RENEWED[:4],
        "payment_intent.requires_action",
        "invoice.payment_action_required",
        "customer.subscription.updated",
    ]
    assert (invoice["status"], invoice["attempted"], invoice["attempt_count"]) == ("open", True, 0)
    await controls.call("POST", f"invoices/{invoice['id']}/pay")
    assert (await now_of(client, begun))["status"] == "active"
    both = {"action_required": True, "paid": True}
    await controls.call("POST", f"subscriptions/{begun['id']}/renew", both, 400)


async def test_a_later_period_that_is_paid_makes_it_active_again(
    client: stripe.StripeClient, controls: Controls
) -> None:
    begun = await subscribed(client, controls)
    failed = await controls.call("POST", f"subscriptions/{begun['id']}/renew", {"paid": False})
    await controls.call("POST", f"subscriptions/{begun['id']}/renew", {"paid": True})
    assert (await now_of(client, begun))["status"] == "active"
    telling = Telling(client)
    await telling.events()
    await controls.call("POST", f"invoices/{failed['id']}/pay")
    assert "customer.subscription.updated" not in await telling.types()


async def test_the_clock_renews_each_period_at_its_own_time(client: stripe.StripeClient, controls: Controls) -> None:
    begun = await subscribed(client, controls)
    first_end = period_of(begun)[1]
    await controls.call("POST", "clock", {"advance_seconds": 95 * DAY})
    invoices = (await client.v1.invoices.list_async({"subscription": begun["id"]})).data
    cycles = [invoice for invoice in invoices if invoice.billing_reason == "subscription_cycle"]
    assert [invoice.created - invoice.period_end for invoice in cycles] == [0, 0, 0]
    assert cycles[-1].period_end == first_end
    assert period_of(await now_of(client, begun))[0] == cycles[0].period_end
    (paid,) = (await client.v1.events.list_async({"type": "invoice.paid"})).data
    assert paid.created == cycles[0].created


async def test_a_card_that_is_declined_fails_the_clocks_renewal(
    client: stripe.StripeClient, controls: Controls
) -> None:
    begun = await subscribed(client, controls)
    card: Any = {"default_payment_method": "pm_card_chargeCustomerFail"}
    await client.v1.subscriptions.update_async(begun["id"], card)
    await controls.call("POST", "clock", {"advance_seconds": 32 * DAY})
    assert (await now_of(client, begun))["status"] == "past_due"


async def test_it_ends_with_its_period_where_it_was_told_to(client: stripe.StripeClient, controls: Controls) -> None:
    begun = await subscribed(client, controls)
    telling = Telling(client)
    await telling.events()
    asked = (await client.v1.subscriptions.update_async(begun["id"], {"cancel_at_period_end": True})).to_dict()
    _, end = period_of(begun)
    assert (asked["status"], asked["cancel_at_period_end"], asked["cancel_at"]) == ("active", True, end)
    assert asked["cancellation_details"]["reason"] == "cancellation_requested"
    await controls.call("POST", f"subscriptions/{begun['id']}/renew", status=409)
    assert await telling.types() == ["customer.subscription.updated"]
    await controls.call("POST", "clock", {"advance_seconds": 40 * DAY})
    ended = await now_of(client, begun)
    assert (ended["status"], ended["ended_at"], ended["canceled_at"]) == ("canceled", end, asked["canceled_at"])
    assert await telling.types() == ["customer.subscription.deleted"]


async def test_the_end_is_taken_back(client: stripe.StripeClient, controls: Controls) -> None:
    begun = await subscribed(client, controls)
    await client.v1.subscriptions.update_async(begun["id"], {"cancel_at_period_end": True})
    telling = Telling(client)
    await telling.events()
    kept = (await client.v1.subscriptions.update_async(begun["id"], {"cancel_at_period_end": False})).to_dict()
    assert (kept["cancel_at"], kept["canceled_at"], kept["cancel_at_period_end"]) == (None, None, False)
    (updated,) = await telling.events()
    assert updated["data"]["previous_attributes"]["cancel_at_period_end"] is True
    await controls.call("POST", "clock", {"advance_seconds": 32 * DAY})
    assert (await now_of(client, begun))["status"] == "active"


async def test_canceled_now_it_is_gone_for_what_would_change_it(
    client: stripe.StripeClient, controls: Controls
) -> None:
    begun = await subscribed(client, controls)
    telling = Telling(client)
    await telling.events()
    ended = (await client.v1.subscriptions.cancel_async(begun["id"])).to_dict()
    assert ended["status"] == "canceled"
    assert ended["ended_at"] == ended["canceled_at"] < period_of(begun)[1]
    assert await telling.types() == ["customer.subscription.deleted"]
    with pytest.raises(stripe.InvalidRequestError, match="No such subscription") as gone:
        await client.v1.subscriptions.cancel_async(begun["id"])
    assert (gone.value.http_status, gone.value.code) == (404, "resource_missing")
    with pytest.raises(stripe.InvalidRequestError, match="A canceled subscription can only update"):
        await client.v1.subscriptions.update_async(begun["id"], {"cancel_at_period_end": True})
    await client.v1.subscriptions.update_async(begun["id"], {"metadata": {"k": "v"}})
    for move in ("renew", "pause", "resume", "cancel"):
        await controls.call("POST", f"subscriptions/{begun['id']}/{move}", status=409)
    await controls.call("POST", "clock", {"advance_seconds": 40 * DAY})
    assert (await now_of(client, begun))["latest_invoice"] == begun["latest_invoice"]


@pytest.mark.parametrize(
    ("behavior", "status", "told"),
    [
        ("void", "void", "invoice.voided"),
        ("mark_uncollectible", "uncollectible", "invoice.marked_uncollectible"),
        ("keep_as_draft", "draft", "customer.subscription.updated"),
    ],
)
async def test_while_collection_is_paused_no_money_is_taken(
    client: stripe.StripeClient, controls: Controls, behavior: str, status: str, told: str
) -> None:
    begun = await subscribed(client, controls)
    pause: Any = {"pause_collection": {"behavior": behavior}}
    paused = (await client.v1.subscriptions.update_async(begun["id"], pause)).to_dict()
    assert paused["pause_collection"] == {"behavior": behavior, "resumes_at": None}
    telling = Telling(client)
    await telling.events()
    invoice = await controls.call("POST", f"subscriptions/{begun['id']}/renew")
    assert (invoice["status"], invoice["amount_paid"]) == (status, 0)
    assert (await telling.types())[-1] == told
    resumed = (await client.v1.subscriptions.update_async(begun["id"], {"pause_collection": ""})).to_dict()
    assert resumed["pause_collection"] is None


async def test_a_pause_ends_at_its_time(client: stripe.StripeClient, controls: Controls) -> None:
    begun = await subscribed(client, controls)
    resumes_at = begun["created"] + 10 * DAY
    pause: Any = {"pause_collection": {"behavior": "void", "resumes_at": resumes_at}}
    await client.v1.subscriptions.update_async(begun["id"], pause)
    await controls.call("POST", "clock", {"advance_seconds": 9 * DAY})
    assert (await now_of(client, begun))["pause_collection"]
    await controls.call("POST", "clock", {"advance_seconds": 2 * DAY})
    assert (await now_of(client, begun))["pause_collection"] is None


@pytest.mark.parametrize(
    ("body", "paused", "told"),
    [
        (None, "customer.subscription.updated", "customer.subscription.updated"),
        ({"status": True}, "customer.subscription.paused", "customer.subscription.resumed"),
    ],
)
async def test_the_dashboard_pauses_and_resumes(
    client: stripe.StripeClient, controls: Controls, body: object, paused: str, told: str
) -> None:
    begun = await subscribed(client, controls)
    telling = Telling(client)
    await telling.events()
    await controls.call("POST", f"subscriptions/{begun['id']}/pause", body)
    assert await telling.types() == [paused]
    await controls.call("POST", f"subscriptions/{begun['id']}/resume")
    assert await telling.types() == [told]
    await controls.call("POST", f"subscriptions/{begun['id']}/resume", status=409)
    await controls.call("POST", f"subscriptions/{begun['id']}/pause", {"behavior": "sometimes"}, 409)


async def test_what_is_bought_once_beside_it_is_billed_once(client: stripe.StripeClient, controls: Controls) -> None:
    once = {"price_data": {"currency": "eur", "unit_amount": 700, "product_data": {"name": "Card"}}, "quantity": 2}
    items = [*membership()["line_items"], once]
    begun = await subscribed(client, controls, line_items=items)
    first = (await client.v1.invoices.retrieve_async(begun["latest_invoice"])).to_dict()
    later = await controls.call("POST", f"subscriptions/{begun['id']}/renew")
    assert [first["amount_paid"], later["amount_paid"]] == [2900, 1500]
    assert [line["parent"]["type"] for line in first["lines"]["data"]] == [
        "subscription_item_details",
        "invoice_item_details",
    ]


async def test_a_free_period_is_paid_without_a_payment(client: stripe.StripeClient, controls: Controls) -> None:
    price = {**membership()["line_items"][0]["price_data"], "unit_amount": 0}
    begun = await subscribed(client, controls, line_items=[{"price_data": price, "quantity": 1}])
    invoice = await controls.call("POST", f"subscriptions/{begun['id']}/renew")
    assert (invoice["status"], invoice["attempt_count"]) == ("paid", 0)
    assert await payments_of(client, invoice["id"]) == []


async def test_a_renewal_is_refunded_by_itself(client: stripe.StripeClient, controls: Controls) -> None:
    begun = await subscribed(client, controls)
    invoice = await controls.call("POST", f"subscriptions/{begun['id']}/renew")
    (payment,) = await payments_of(client, invoice["id"])
    wanted: Any = {"payment": {"type": "payment_intent", "payment_intent": payment["payment"]["payment_intent"]}}
    (found,) = (await client.v1.invoice_payments.list_async(wanted)).data
    assert found.id == payment["id"]
    refund = await client.v1.refunds.create_async({"payment_intent": payment["payment"]["payment_intent"]})
    assert refund.amount == 1500


async def test_lists_leave_out_what_has_ended_unless_asked(client: stripe.StripeClient, controls: Controls) -> None:
    ended, going_on = await subscribed(client, controls), await subscribed(client, controls)
    await client.v1.subscriptions.cancel_async(ended["id"])

    async def listed(**wanted: str) -> list[str]:
        return [one.id for one in (await client.v1.subscriptions.list_async(wanted)).data]  # type: ignore[arg-type]

    assert await listed() == await listed(status="active") == [going_on["id"]]
    assert await listed(status="all") == [going_on["id"], ended["id"]]
    assert await listed(status="ended") == await listed(status="canceled") == [ended["id"]]
    assert await listed(customer=going_on["customer"]) == [going_on["id"]]
    with pytest.raises(stripe.InvalidRequestError, match="does not play"):
        await listed(price="price_1")


async def test_an_older_invoice_that_is_paid_leaves_it_behind(client: stripe.StripeClient, controls: Controls) -> None:
    begun = await subscribed(client, controls)
    older, newest = [
        await controls.call("POST", f"subscriptions/{begun['id']}/renew", {"paid": False}) for _ in range(2)
    ]
    await controls.call("POST", f"invoices/{older['id']}/pay")
    assert (await now_of(client, begun))["status"] == "past_due"
    await controls.call("POST", f"invoices/{newest['id']}/pay")
    assert (await now_of(client, begun))["status"] == "active"


@pytest.mark.parametrize(
    ("begin", "interval", "count", "ends"),
    [
        ("2026-01-31", "month", 1, ["2026-02-28", "2026-03-31", "2026-04-30"]),
        ("2024-02-29", "year", 1, ["2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]),
        ("2026-01-31", "month", 3, ["2026-04-30", "2026-07-31"]),
        ("2026-12-30", "week", 2, ["2027-01-13", "2027-01-27"]),
    ],
)
def test_periods_keep_the_day_on_which_they_began(begin: str, interval: str, count: int, ends: list[str]) -> None:
    at = anchor = int(datetime.fromisoformat(begin).replace(tzinfo=UTC).timestamp())
    for expected in ends:
        at = period_end(anchor, {"interval": interval, "interval_count": count}, at)
        assert datetime.fromtimestamp(at, UTC).date().isoformat() == expected


def test_a_period_is_found_from_within() -> None:
    begun, within, ends = (int(datetime(2026, *day, tzinfo=UTC).timestamp()) for day in ((1, 31), (2, 15), (2, 28)))
    assert period_end(begun, {"interval": "month", "interval_count": 1}, within) == ends
