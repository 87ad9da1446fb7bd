"""What Stripe refuses, limits, cannot do or leaves unknown comes back as what it is, and never as two sessions."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from payments_service.contract.pb.payments.v1.order_pb2 import PAYMENT_STATE_OPEN
from payments_service.errors import (
    StripeMisconfiguredError,
    StripeOutcomeUnknownError,
    StripeRateLimitedError,
    StripeRejectedError,
    StripeUnavailableError,
)
from payments_service.orders.states import PaymentState
from payments_service.stripe_gateway.client import StripeKey, open_gateway

from .checkout_shop import KEY, Shop, course_request


async def test_a_refusal_is_kept_and_the_same_request_gets_it_again_without_stripe(shop: Shop) -> None:
    request = course_request(customer_id="cus_unknown")

    with pytest.raises(StripeRejectedError, match="No such customer") as first:
        await shop.create(request)
    with pytest.raises(StripeRejectedError) as again:
        await shop.create(request)

    row = await shop.only_row()
    assert row.payment_state == PaymentState.REJECTED
    assert not row.creation_doubtful
    assert first.value.metadata["stripe_code"] == "resource_missing"
    assert first.value.metadata["stripe_param"] == "customer"
    assert first.value.metadata["stripe_request_id"].startswith("req_")
    assert first.value.metadata["order_id"] == row.order_id
    assert (again.value.message, again.value.metadata) == (first.value.message, first.value.metadata)
    assert shop.gateway.asked == {"create": 1}


async def test_a_refusal_is_told_in_the_timeline(shop: Shop) -> None:
    with pytest.raises(StripeRejectedError) as refused:
        await shop.create(course_request(customer_id="cus_unknown"))

    line = (await shop.timeline((await shop.only_row()).order_id))[-1]
    assert (line.stage, line.summary) == ("stripe", refused.value.message)
    assert line.reference == refused.value.metadata["stripe_request_id"]


async def test_a_rate_limit_did_nothing_and_the_same_request_tries_again(shop: Shop) -> None:
    request = course_request()
    await shop.api_fault(status=429)
    with pytest.raises(StripeRateLimitedError):
        await shop.create(request)
    limited = await shop.only_row()
    await shop.no_faults()

    order = await shop.create(request)

    assert (limited.payment_state, limited.creation_doubtful) == (PaymentState.CREATING, False)
    assert (order.order_id, order.payment_state) == (limited.order_id, PAYMENT_STATE_OPEN)


async def test_a_stripe_that_cannot_be_reached_did_nothing(shop: Shop) -> None:
    request = course_request()
    async with open_gateway(StripeKey(KEY, "http://127.0.0.1:9")) as unreachable:
        real, shop.gateway.real = shop.gateway.real, unreachable
        with pytest.raises(StripeUnavailableError):
            await shop.create(request)
        shop.gateway.real = real
    doubtful = (await shop.only_row()).creation_doubtful

    assert not doubtful
    assert (await shop.create(request)).payment_state == PAYMENT_STATE_OPEN
    assert len(await shop.sessions()) == 1


async def test_a_key_that_stripe_does_not_know_is_the_operators_matter(shop: Shop) -> None:
    request = course_request()
    async with open_gateway(StripeKey("pk_test_1", shop.url)) as misconfigured:
        real, shop.gateway.real = shop.gateway.real, misconfigured
        with pytest.raises(StripeMisconfiguredError, match="PAYMENTS_STRIPE_API_KEY"):
            await shop.create(request)
        shop.gateway.real = real

    assert (await shop.create(request)).payment_state == PAYMENT_STATE_OPEN


async def test_an_order_of_test_mode_is_never_finished_with_a_live_key(shop: Shop) -> None:
    request = course_request()
    await shop.api_fault(status=429)
    with pytest.raises(StripeRateLimitedError):
        await shop.create(request)
    await shop.no_faults()
    shop.gateway.livemode = True

    with pytest.raises(StripeMisconfiguredError, match="other mode"):
        await shop.create(request)

    assert shop.gateway.asked == {"create": 1}


async def test_an_answer_that_does_not_come_in_time_leaves_the_outcome_unknown(shop: Shop) -> None:
    request = course_request()
    await shop.api_fault(latency_seconds=5.0, when="after")

    with pytest.raises(StripeOutcomeUnknownError, match="same request_id only") as unknown:
        await shop.create(request, budget=1.0)

    row = await shop.only_row()
    assert unknown.value.metadata == {"order_id": row.order_id}
    assert (row.payment_state, row.creation_doubtful) == (PaymentState.CREATING, True)


async def test_the_deadline_is_passed_on_and_leaves_time_to_keep_what_is_known(shop: Shop) -> None:
    await shop.api_fault(latency_seconds=15.0, when="after")
    began = asyncio.get_running_loop().time()

    with pytest.raises(StripeOutcomeUnknownError):
        await shop.create(course_request(), budget=3.0)

    assert asyncio.get_running_loop().time() - began < 10.0
    assert (await shop.only_row()).creation_lease_expire_time is None


async def test_after_an_unknown_outcome_the_same_request_gets_the_one_session(shop: Shop) -> None:
    request = course_request()
    await shop.api_fault(latency_seconds=4.0, when="after")
    with pytest.raises(StripeOutcomeUnknownError):
        await shop.create(request, budget=3.0)
    await shop.no_faults()

    order = await shop.create(request)

    assert order.payment_state == PAYMENT_STATE_OPEN
    assert [session["id"] for session in await shop.sessions()] == [order.checkout_session_id]
    assert len(set(shop.gateway.keys)) == 1


async def test_a_doubt_is_not_resolved_by_a_later_try_that_did_nothing(shop: Shop) -> None:
    request = course_request()
    await shop.api_fault(latency_seconds=1.5, when="after")
    with pytest.raises(StripeOutcomeUnknownError):
        await shop.create(request, budget=1.2)
    await shop.api_fault(status=429)

    with pytest.raises(StripeOutcomeUnknownError, match="An earlier try may have made the checkout") as unknown:
        await shop.create(request)

    row = await shop.only_row()
    assert unknown.value.metadata == {"order_id": row.order_id}
    assert row.creation_doubtful


async def test_a_server_error_after_the_work_is_healed_by_looking(shop: Shop) -> None:
    """Stripe replays its 500 under the same key for a day; without looking, the buyer would wait as long."""
    request = course_request()
    await shop.api_fault(status=500, when="after")
    with pytest.raises(StripeOutcomeUnknownError):
        await shop.create(request)
    await shop.no_faults()

    order = await shop.create(request)

    assert order.payment_state == PAYMENT_STATE_OPEN
    assert [session["id"] for session in await shop.sessions()] == [order.checkout_session_id]
    assert len(set(shop.gateway.keys)) == 1


async def test_a_server_error_before_the_work_is_unknown_and_then_made_once(shop: Shop) -> None:
    request = course_request()
    await shop.api_fault(status=500, when="before")
    with pytest.raises(StripeOutcomeUnknownError):
        await shop.create(request)
    await shop.no_faults()

    assert (await shop.create(request)).payment_state == PAYMENT_STATE_OPEN
    assert len(await shop.sessions()) == 1


async def test_too_short_a_deadline_fails_before_anything_is_begun(shop: Shop) -> None:
    with pytest.raises(StripeUnavailableError, match="deadline"):
        await shop.create(course_request(), budget=0.3)

    with pytest.raises(ValueError, match="not enough values"):
        await shop.only_row()
    assert not shop.gateway.asked


async def test_too_short_a_deadline_still_gives_the_order_that_is_there(shop: Shop) -> None:
    request = course_request()
    order = await shop.create(request)

    assert await shop.create(request, budget=0.3) == order


async def test_an_expiry_that_has_come_too_near_is_stripes_to_refuse(shop: Shop) -> None:
    expire_time = Timestamp()
    expire_time.FromDatetime(datetime.now(UTC) + timedelta(minutes=40))
    request = course_request(expire_time=expire_time)
    await shop.api_fault(status=429)
    with pytest.raises(StripeRateLimitedError):
        await shop.create(request)
    await shop.no_faults()
    shop.late = timedelta(minutes=20)
    await shop.control("POST", "clock", {"advance_seconds": 1200})

    with pytest.raises(StripeRejectedError, match="expires_at"):
        await shop.create(request)


async def test_failures_are_told_once_however_often_they_come(shop: Shop) -> None:
    request = course_request()
    await shop.api_fault(status=429)
    for _ in range(3):
        with pytest.raises(StripeRateLimitedError):
            await shop.create(request)

    told = [row.summary for row in await shop.timeline((await shop.only_row()).order_id)]
    assert told == ["course-service asked for a checkout", "Stripe's rate limit was met; try again later."]
