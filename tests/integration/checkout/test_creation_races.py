"""Calls of one request at the same time: one asks Stripe, the others wait and get the same order."""

import asyncio

import pytest

from payments_service.contract.pb.payments.v1.order_pb2 import PAYMENT_STATE_OPEN, Order
from payments_service.errors import (
    RequestIdReusedError,
    StripeOutcomeUnknownError,
    StripeRateLimitedError,
    StripeRejectedError,
)

from .checkout_shop import Json, Shop, course_request


async def test_twenty_calls_of_one_request_make_one_session(shop: Shop) -> None:
    request = course_request()
    await shop.api_fault(latency_seconds=0.2, when="after")

    orders = await asyncio.gather(*(shop.create(request) for _ in range(20)))

    assert [order for order in orders if order != orders[0]] == []
    assert orders[0].payment_state == PAYMENT_STATE_OPEN
    assert shop.gateway.asked == {"create": 1}
    assert [session["id"] for session in await shop.sessions()] == [orders[0].checkout_session_id]
    assert shop.waker.pokes == 1


async def test_calls_of_different_requests_do_not_wait_for_each_other(shop: Shop) -> None:
    await shop.api_fault(latency_seconds=0.5, when="after")
    began = asyncio.get_running_loop().time()

    orders = await asyncio.gather(*(shop.create(course_request()) for _ in range(10)))

    assert asyncio.get_running_loop().time() - began < 3.0
    assert len({order.checkout_session_id for order in orders}) == 10


async def test_racers_get_the_same_refusal(shop: Shop) -> None:
    request = course_request(customer_id="cus_unknown")

    refused = await asyncio.gather(*(shop.create(request) for _ in range(5)), return_exceptions=True)

    assert all(isinstance(error, StripeRejectedError) for error in refused)
    assert len({str(error) for error in refused}) == 1
    assert shop.gateway.asked == {"create": 1}


async def test_of_two_bodies_at_once_one_wins_and_the_other_is_refused(shop: Shop) -> None:
    request = course_request()
    other = course_request(request_id=request.request_id, user_id="user_2")

    first, second = await asyncio.gather(shop.create(request), shop.create(other), return_exceptions=True)

    refused = [result for result in (first, second) if isinstance(result, RequestIdReusedError)]
    assert len(refused) == 1
    assert len(await shop.sessions()) == 1


async def test_a_racer_tries_itself_when_the_first_one_could_do_nothing(shop: Shop) -> None:
    request = course_request()

    async def limit_the_first() -> None:
        if shop.gateway.asked["create"] == 1:
            await shop.api_fault(status=429)
        else:
            await shop.no_faults()

    shop.gateway.before_ask = limit_the_first
    results = await asyncio.gather(shop.create(request), shop.create(request), return_exceptions=True)

    limited = [result for result in results if isinstance(result, StripeRateLimitedError)]
    made = [result for result in results if isinstance(result, Order)]
    assert (len(limited), len(made)) == (1, 1)
    assert [session["id"] for session in await shop.sessions()] == [made[0].checkout_session_id]


async def test_a_racer_whose_time_is_over_is_told_to_come_again(shop: Shop) -> None:
    request = course_request()
    told: list[Json] = []

    async def race(session: Json) -> None:
        with pytest.raises(StripeOutcomeUnknownError, match="still at work") as unknown:
            await shop.create(request, budget=0.6)
        told.append(dict(unknown.value.metadata))

    shop.gateway.once_answered = race
    order = await shop.create(request)

    assert told == [{"order_id": order.order_id}]
    assert shop.gateway.asked == {"create": 1}
