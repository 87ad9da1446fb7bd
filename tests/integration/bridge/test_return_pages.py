"""A buyer who comes back sees how the order is, even before the webhook; a stranger sees nothing of anybody's."""

import re

import pytest

from payments_service.orders.states import FulfillmentState, PaymentState

from .buyer import Buyer

RELOAD = re.compile(r'<meta http-equiv="refresh" content="(\d+);url=\?session_id=(\w+)&amp;look=(\d+)">')


async def test_a_buyer_sees_the_payment_although_the_webhook_is_late(buyer: Buyer) -> None:
    order = await buyer.order()
    await buyer.does(order, "pay")

    page = await buyer.look(order.checkout_session_id)

    assert "Payment received" in page
    assert "$49.00" in page
    assert "Test mode" in page
    assert (await buyer.shop.row(order.order_id)).payment_state == PaymentState.PAID
    assert len(buyer.shop.waker.fulfillments) == 1


async def test_a_buyer_sees_the_order_fulfilled_and_the_page_comes_to_rest(buyer: Buyer) -> None:
    order = await buyer.order()
    await buyer.does(order, "pay")
    assert RELOAD.search(await buyer.look(order.checkout_session_id))
    await buyer.shop.change(order.order_id, fulfillment_state=FulfillmentState.FULFILLED)

    page = await buyer.look(order.checkout_session_id)

    assert "Your order is ready" in page
    assert not RELOAD.search(page)


async def test_a_buyer_who_pays_by_bank_waits_and_sees_what_comes_of_it(buyer: Buyer) -> None:
    order = await buyer.order()
    await buyer.does(order, "pay_later")
    assert "Waiting for your bank" in await buyer.look(order.checkout_session_id)
    await buyer.shop.change(order.order_id, payment_state=PaymentState.FAILED)

    page = await buyer.look(order.checkout_session_id)

    assert ("payment failed" in page, RELOAD.search(page)) == (True, None)


async def test_a_buyer_sees_that_a_checkout_has_expired(buyer: Buyer) -> None:
    order = await buyer.order()
    await buyer.does(order, "expire")

    page = await buyer.look(order.checkout_session_id)

    assert ("has expired" in page, RELOAD.search(page)) == (True, None)


async def test_a_page_looks_again_later_each_time_and_stops_at_last(buyer: Buyer) -> None:
    session_id = (await buyer.order()).checkout_session_id

    first, later = RELOAD.search(await buyer.look(session_id)), RELOAD.search(await buyer.look(session_id, 8))

    assert first is not None
    assert later is not None
    assert first.groups() == ("1", session_id, "1")
    assert int(later.group(1)) > 10
    last = await buyer.look(session_id, 60)
    assert ("Look again" in last, RELOAD.search(last)) == (True, None)


async def test_reloading_does_not_hammer_stripe(buyer: Buyer) -> None:
    order = await buyer.order()

    for _ in range(20):
        await buyer.look(order.checkout_session_id)

    assert buyer.shop.gateway.asked["retrieve"] == 1


async def test_when_stripe_is_away_the_page_shows_what_we_know(buyer: Buyer) -> None:
    order = await buyer.order()
    await buyer.shop.api_fault(status=500, when="before", probability=1.0)

    assert "Confirming your payment" in await buyer.look(order.checkout_session_id)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?session_id=",
        "?session_id=cs_test_a1" + "b" * 58,
        "?session_id=cs_live_a1" + "b" * 58,
        "?session_id=%7BCHECKOUT_SESSION_ID%7D",
        "?session_id=cs_test_%27%20OR%201=1--",
        "?session_id=../../etc/passwd",
        "?session_id=<script>alert(1)</script>",
        "?session_id=cs_test_" + "a" * 3_000,
        "?session_id=%00%ff",
        "?order_id=ord_1",
        "?" + "&" * 1_000,
    ],
)
async def test_wrong_and_unknown_ids_see_one_and_the_same_page_and_never_reach_stripe(buyer: Buyer, query: str) -> None:
    await buyer.order()
    _, nothing, _ = await buyer.open("/checkout/return?session_id=cs_test_nothing0")

    status, page, _ = await buyer.open(f"/checkout/return{query}")

    assert (status, page) == (404, nothing)
    assert buyer.shop.gateway.asked["retrieve"] == 0


async def test_a_page_gives_away_nothing_of_the_order(buyer: Buyer) -> None:
    order = await buyer.order()
    await buyer.does(order, "pay")

    page = await buyer.look(order.checkout_session_id)

    row = await buyer.shop.row(order.order_id)
    for secret in (
        row.order_id,
        row.user_id,
        row.organization_id,
        row.created_by,
        row.payment_intent_id,
        "jane@",
        "intro-to-sql",
    ):
        assert secret
        assert secret not in page


@pytest.mark.parametrize("path", ["/checkout/cancelled", "/checkout/return?session_id=cs_test_nothing0"])
async def test_pages_are_not_cached_framed_scripted_indexed_or_referred(buyer: Buyer, path: str) -> None:
    _, text, headers = await buyer.open(path)

    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Robots-Tag"] == "noindex"
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "frame-ancestors 'none'" in policy
    assert "<script" not in text


async def test_who_cancels_is_told_that_nothing_was_charged(buyer: Buyer) -> None:
    status, page, _ = await buyer.open("/checkout/cancelled")

    assert (status, "have not been charged" in page, RELOAD.search(page)) == (200, True, None)
