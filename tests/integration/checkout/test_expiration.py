"""ExpireCheckout: an open checkout is closed at Stripe; a buyer who was faster wins, and is told of."""

import asyncio

import pytest
from event_log.log_scene import read_log

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent
from payments_service.contract.pb.payments.v1.order_pb2 import PAYMENT_STATE_EXPIRED
from payments_service.errors import (
    CheckoutNotOpenError,
    OrderNotFoundError,
    StripeOutcomeUnknownError,
    StripeRateLimitedError,
    StripeRejectedError,
    StripeUnavailableError,
)
from payments_service.orders.states import PaymentState
from payments_service.scope import EVERYTHING, Scope
from payments_service.storage.log_rows import sequence_events

from .checkout_shop import Shop, course_request


async def logged(shop: Shop) -> list[int]:
    async with shop.database.transaction() as tx:
        await sequence_events(tx)
    async with shop.database.reading() as reading:
        return [event.type for event in await read_log(reading)]


async def test_an_open_checkout_can_no_longer_be_paid(shop: Shop) -> None:
    order = await shop.create(course_request())

    expired = await shop.expire(order.order_id)

    assert (expired.payment_state, expired.checkout_url) == (PAYMENT_STATE_EXPIRED, "")
    assert (await shop.session())["status"] == "expired"
    assert await logged(shop) == [FulfillmentEvent.TYPE_CHECKOUT_EXPIRED]
    assert shop.waker.pokes == 2
    last = (await shop.timeline(order.order_id))[-1]
    assert (last.stage, last.summary) == ("stripe", "closed the checkout session")


async def test_expiring_again_is_the_same_success_and_asks_stripe_nothing(shop: Shop) -> None:
    order = await shop.create(course_request())

    first, second = await shop.expire(order.order_id), await shop.expire(order.order_id)

    assert first == second
    assert shop.gateway.asked["expire"] == 1
    assert await logged(shop) == [FulfillmentEvent.TYPE_CHECKOUT_EXPIRED]


async def test_two_who_expire_at_once_both_succeed(shop: Shop) -> None:
    order = await shop.create(course_request())

    both = await asyncio.gather(shop.expire(order.order_id), shop.expire(order.order_id))

    assert [expired.payment_state for expired in both] == [PAYMENT_STATE_EXPIRED] * 2
    assert await logged(shop) == [FulfillmentEvent.TYPE_CHECKOUT_EXPIRED]


async def test_a_checkout_that_was_paid_meanwhile_is_not_expired_but_known_as_paid(shop: Shop) -> None:
    order = await shop.create(course_request())
    await shop.control("POST", f"sessions/{order.checkout_session_id}/pay")

    with pytest.raises(CheckoutNotOpenError) as refused:
        await shop.expire(order.order_id)

    assert refused.value.metadata == {"state": "PAID"}
    assert (await shop.row(order.order_id)).payment_state == PaymentState.PAID
    assert len(shop.waker.fulfillments) == 1
    assert "was completed before" in (await shop.timeline(order.order_id))[-1].summary


async def test_a_checkout_that_has_expired_at_stripe_meanwhile_is_a_success(shop: Shop) -> None:
    order = await shop.create(course_request())
    await shop.control("POST", f"sessions/{order.checkout_session_id}/expire")

    assert (await shop.expire(order.order_id)).payment_state == PAYMENT_STATE_EXPIRED


async def test_an_order_that_is_known_as_paid_is_refused_without_asking(shop: Shop) -> None:
    order = await shop.create(course_request())
    await shop.control("POST", f"sessions/{order.checkout_session_id}/pay")
    await shop.get(order.order_id, refresh=True)

    with pytest.raises(CheckoutNotOpenError, match="PAID"):
        await shop.expire(order.order_id)

    assert shop.gateway.asked["expire"] == 0


async def test_a_refused_checkout_was_never_open(shop: Shop) -> None:
    with pytest.raises(StripeRejectedError):
        await shop.create(course_request(customer_id="cus_unknown"))

    with pytest.raises(CheckoutNotOpenError) as refused:
        await shop.expire((await shop.only_row()).order_id)

    assert refused.value.metadata == {"state": "REJECTED"}


@pytest.mark.parametrize(
    "scope", [Scope(frozenset({"org_2"}), None), Scope(None, frozenset({"service"})), Scope(frozenset(), None)]
)
async def test_an_order_out_of_scope_does_not_exist(shop: Shop, scope: Scope) -> None:
    order = await shop.create(course_request())

    with pytest.raises(OrderNotFoundError) as refused:
        await shop.expiration.expire(order.order_id, scope, budget=5.0)

    assert refused.value.metadata == {"order_id": order.order_id}
    assert (await shop.session())["status"] == "open"


async def test_an_unknown_order_is_not_found(shop: Shop) -> None:
    with pytest.raises(OrderNotFoundError):
        await shop.expiration.expire("ord_unknown", EVERYTHING, budget=5.0)


async def test_a_rate_limit_leaves_it_open(shop: Shop) -> None:
    order = await shop.create(course_request())
    await shop.api_fault(status=429)

    with pytest.raises(StripeRateLimitedError):
        await shop.expire(order.order_id)

    assert (await shop.row(order.order_id)).payment_state == PaymentState.OPEN


async def test_an_unknown_outcome_names_the_order_and_is_safe_to_repeat(shop: Shop) -> None:
    order = await shop.create(course_request())
    await shop.api_fault(latency_seconds=3.0, when="after")

    with pytest.raises(StripeOutcomeUnknownError, match="safe to repeat") as unknown:
        await shop.expire(order.order_id, budget=1.2)
    await shop.no_faults()

    assert unknown.value.metadata == {"order_id": order.order_id}
    assert (await shop.expire(order.order_id)).payment_state == PAYMENT_STATE_EXPIRED


async def test_a_server_error_after_the_work_does_not_stick_to_the_order(shop: Shop) -> None:
    order = await shop.create(course_request())
    await shop.api_fault(status=500, when="after")
    with pytest.raises(StripeOutcomeUnknownError):
        await shop.expire(order.order_id)
    await shop.no_faults()

    assert (await shop.expire(order.order_id)).payment_state == PAYMENT_STATE_EXPIRED


async def test_too_short_a_deadline_asks_nothing(shop: Shop) -> None:
    order = await shop.create(course_request())

    with pytest.raises(StripeUnavailableError, match="deadline"):
        await shop.expire(order.order_id, budget=0.1)

    assert shop.gateway.asked["expire"] == 0
