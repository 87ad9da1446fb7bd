"""GetOrder: as it is known here, or as Stripe knows it now when the webhook never came."""

import asyncio

import pytest

from payments_service.contract.pb.payments.v1.order_pb2 import (
    FULFILLMENT_STATE_PENDING,
    PAYMENT_STATE_AWAITING_FUNDS,
    PAYMENT_STATE_CREATING,
    PAYMENT_STATE_EXPIRED,
    PAYMENT_STATE_OPEN,
    PAYMENT_STATE_PAID,
)
from payments_service.errors import (
    InvalidRequestError,
    OrderNotFoundError,
    StripeOutcomeUnknownError,
    StripeRateLimitedError,
    StripeUnavailableError,
)
from payments_service.scope import EVERYTHING, Scope

from .checkout_shop import Shop, course_request


async def test_an_order_is_found_by_its_id_and_by_its_session(shop: Shop) -> None:
    order = await shop.create(course_request())

    by_session = await shop.lookup.get(
        session_id=order.checkout_session_id, scope=EVERYTHING, refresh=False, budget=5.0
    )

    assert await shop.get(order.order_id) == by_session == order


async def test_without_refresh_stripe_is_not_asked(shop: Shop) -> None:
    order = await shop.create(course_request())
    await shop.control("POST", f"sessions/{order.checkout_session_id}/pay")

    assert (await shop.get(order.order_id)).payment_state == PAYMENT_STATE_OPEN
    assert shop.gateway.asked == {"create": 1}


async def test_a_payment_whose_webhook_never_came_is_seen_and_owed(shop: Shop) -> None:
    order = await shop.create(course_request())
    await shop.control("POST", f"sessions/{order.checkout_session_id}/pay")

    paid = await shop.get(order.order_id, refresh=True)

    assert (paid.payment_state, paid.fulfillment_state) == (PAYMENT_STATE_PAID, FULFILLMENT_STATE_PENDING)
    assert [fulfillment.source_id for fulfillment in paid.fulfillments] == [order.checkout_session_id]
    assert shop.waker.fulfillments == [paid.fulfillments[0].fulfillment_id]
    assert shop.waker.pokes == 2


async def test_readers_at_the_same_time_owe_one_fulfillment(shop: Shop) -> None:
    order = await shop.create(course_request())
    await shop.control("POST", f"sessions/{order.checkout_session_id}/pay")

    seen = await asyncio.gather(*(shop.get(order.order_id, refresh=True) for _ in range(5)))

    assert {len(found.fulfillments) for found in seen} == {1}
    assert len(shop.waker.fulfillments) == 1


async def test_delayed_money_is_seen_on_its_way_and_when_it_has_come(shop: Shop) -> None:
    order = await shop.create(course_request())
    await shop.control("POST", f"sessions/{order.checkout_session_id}/pay_later")
    awaited = await shop.get(order.order_id, refresh=True)
    await shop.control("POST", f"sessions/{order.checkout_session_id}/settle")

    settled = await shop.get(order.order_id, refresh=True)

    assert awaited.payment_state == PAYMENT_STATE_AWAITING_FUNDS
    assert settled.payment_state == PAYMENT_STATE_PAID


async def test_an_expiry_at_stripe_is_seen(shop: Shop) -> None:
    order = await shop.create(course_request())
    await shop.control("POST", "clock", {"advance_seconds": 25 * 3600})

    assert (await shop.get(order.order_id, refresh=True)).payment_state == PAYMENT_STATE_EXPIRED


async def test_a_settled_order_is_not_asked_about(shop: Shop) -> None:
    order = await shop.create(course_request())
    await shop.expire(order.order_id)
    await shop.api_fault(status=429)

    assert (await shop.get(order.order_id, refresh=True)).payment_state == PAYMENT_STATE_EXPIRED
    assert shop.gateway.asked["retrieve"] == 0


async def test_what_stripe_knows_no_better_changes_nothing(shop: Shop) -> None:
    order = await shop.create(course_request())

    assert await shop.get(order.order_id, refresh=True) == order
    assert shop.waker.pokes == 1


async def test_an_order_whose_creation_is_in_doubt_is_found_at_stripe(shop: Shop) -> None:
    await shop.api_fault(latency_seconds=1.5, when="after")
    with pytest.raises(StripeOutcomeUnknownError):
        await shop.create(course_request(), budget=1.2)
    await shop.no_faults()
    order_id = (await shop.only_row()).order_id

    found = await shop.get(order_id, refresh=True)

    assert (found.payment_state, found.checkout_url) == (PAYMENT_STATE_OPEN, (await shop.session())["url"])


async def test_an_order_of_which_stripe_certainly_made_nothing_is_not_looked_for(shop: Shop) -> None:
    await shop.api_fault(status=429)
    with pytest.raises(StripeRateLimitedError):
        await shop.create(course_request())
    order_id = (await shop.only_row()).order_id

    assert (await shop.get(order_id, refresh=True)).payment_state == PAYMENT_STATE_CREATING
    assert shop.gateway.asked == {"create": 1}


async def test_a_refresh_that_stripe_does_not_answer_is_an_error_and_not_old_news(shop: Shop) -> None:
    order = await shop.create(course_request())
    await shop.api_fault(status=429)

    with pytest.raises(StripeRateLimitedError):
        await shop.get(order.order_id, refresh=True)


async def test_a_refresh_that_takes_too_long_did_nothing(shop: Shop) -> None:
    order = await shop.create(course_request())
    await shop.api_fault(latency_seconds=3.0, when="before")

    with pytest.raises(StripeUnavailableError):
        await shop.get(order.order_id, refresh=True, budget=1.2)


@pytest.mark.parametrize("scope", [Scope(frozenset({"org_2"}), None), Scope(None, frozenset({"service"}))])
async def test_another_organizations_order_is_not_found_by_either_id(shop: Shop, scope: Scope) -> None:
    order = await shop.create(course_request())

    with pytest.raises(OrderNotFoundError) as by_id:
        await shop.lookup.get(order_id=order.order_id, scope=scope, refresh=True, budget=5.0)
    with pytest.raises(OrderNotFoundError) as by_session:
        await shop.lookup.get(session_id=order.checkout_session_id, scope=scope, refresh=True, budget=5.0)

    assert by_id.value.metadata == {"order_id": order.order_id}
    assert by_session.value.metadata == {"checkout_session_id": order.checkout_session_id}
    assert shop.gateway.asked["retrieve"] == 0


async def test_no_key_at_all_is_a_wrong_request(shop: Shop) -> None:
    with pytest.raises(InvalidRequestError):
        await shop.lookup.get(scope=EVERYTHING, refresh=False, budget=5.0)
