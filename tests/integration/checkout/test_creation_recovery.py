"""Whatever stops a creation, and wherever: the same request finishes it, with the one session that there is."""

import asyncio
import os
import random
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from integration.stages import Stages
from payments_service.contract.pb.payments.v1.order_pb2 import (
    PAYMENT_STATE_EXPIRED,
    PAYMENT_STATE_OPEN,
    PAYMENT_STATE_PAID,
)
from payments_service.contract.pb.payments.v1.payments_pb2 import CreateCheckoutRequest
from payments_service.errors import StripeOutcomeUnknownError, StripeRateLimitedError
from payments_service.orders.states import PaymentState

from .checkout_shop import Json, Shop, course_request

FAIL_THE_COMMIT = {
    "sqlite": (
        "CREATE TRIGGER no_session BEFORE UPDATE ON orders WHEN NEW.checkout_session_id IS NOT NULL "
        "BEGIN SELECT RAISE(ABORT, 'no_session'); END"
    ),
    "postgresql": "ALTER TABLE orders ADD CONSTRAINT no_session CHECK (checkout_session_id IS NULL)",
}
LET_IT_COMMIT = {
    "sqlite": "DROP TRIGGER no_session",
    "postgresql": "ALTER TABLE orders DROP CONSTRAINT no_session",
}


async def statement(shop: Shop, sql: dict[str, str]) -> None:
    async with shop.database.transaction() as tx:
        await tx.exec_driver_sql(sql[shop.database.dialect])


async def test_a_commit_that_fails_after_stripes_answer_is_made_good(shop: Shop) -> None:
    request = course_request()
    await statement(shop, FAIL_THE_COMMIT)
    with pytest.raises(Exception, match="no_session"):
        await shop.create(request)
    left = await shop.only_row()
    await statement(shop, LET_IT_COMMIT)

    order = await shop.create(request)

    assert (left.payment_state, left.creation_doubtful) == (PaymentState.CREATING, True)
    assert (order.order_id, order.payment_state) == (left.order_id, PAYMENT_STATE_OPEN)
    assert [session["id"] for session in await shop.sessions()] == [order.checkout_session_id]
    assert len(set(shop.gateway.keys)) == 1


async def test_a_caller_who_leaves_after_stripes_answer_finds_the_session_at_once(shop: Shop) -> None:
    request = course_request()
    await leave_after_the_answer(shop, request)

    order = await shop.create(request, budget=2.0)

    assert order.payment_state == PAYMENT_STATE_OPEN
    assert [session["id"] for session in await shop.sessions()] == [order.checkout_session_id]


async def test_a_caller_who_leaves_at_any_moment_leaves_nothing_that_is_not_healed(shop: Shop) -> None:
    chance = random.Random(7)  # noqa: S311  # which moments, not a secret
    requests = [course_request() for _ in range(25)]
    for request in requests:
        call: asyncio.Task[object] = asyncio.create_task(shop.create(request))
        await asyncio.wait([call], timeout=chance.uniform(0.0, 0.02))
        call.cancel()
        await asyncio.wait([call])

    healed = [await finish(shop, request) for request in requests]

    made = [session["client_reference_id"] for session in await shop.sessions()]
    assert sorted(made) == sorted(healed)


async def finish(shop: Shop, request: CreateCheckoutRequest) -> str:
    """Repeat a request after whoever had it is gone for good."""
    async with shop.database.transaction() as tx:
        await tx.exec_driver_sql("UPDATE orders SET creation_lease_expire_time = NULL")
    order = await shop.create(request)
    assert order.payment_state == PAYMENT_STATE_OPEN
    return order.order_id


async def test_a_process_that_is_killed_between_stripes_answer_and_our_commit_loses_nothing(
    shop: Shop, database_url: str
) -> None:
    request = course_request()
    tests = str(Path(__file__).parents[2])
    environment = {**os.environ, "SHOP_DATABASE": database_url, "SHOP_STRIPE": shop.url, "PYTHONPATH": tests}
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "integration.checkout.doomed_creation",
        stdin=asyncio.subprocess.PIPE, env=environment,
    )  # fmt: skip
    await child.communicate(request.SerializeToString())
    assert child.returncode == -signal.SIGKILL
    left = await shop.only_row()
    await shop.end_lease(left.order_id)

    order = await shop.create(request)

    assert (left.payment_state, left.creation_doubtful) == (PaymentState.CREATING, True)
    assert (order.order_id, order.payment_state) == (left.order_id, PAYMENT_STATE_OPEN)
    assert [session["id"] for session in await shop.sessions()] == [order.checkout_session_id]


async def test_a_lease_that_has_run_out_is_taken_over_and_the_late_answer_changes_nothing(shop: Shop) -> None:
    request = course_request()
    held, free = asyncio.Event(), asyncio.Event()

    async def stall(session: Json) -> None:
        held.set()
        await free.wait()

    shop.gateway.once_answered = stall
    slow = asyncio.create_task(shop.create(request))
    await held.wait()
    await shop.end_lease((await shop.only_row()).order_id)

    quick = await shop.create(request)
    taken_over = await shop.row(quick.order_id)
    free.set()

    assert await slow == quick
    assert taken_over.creation_epoch == 2
    assert await shop.row(quick.order_id) == taken_over
    assert len(await shop.sessions()) == 1


async def test_a_webhook_that_overtakes_our_commit_is_not_undone_by_it(shop: Shop) -> None:
    stages = Stages(shop.database, shop.gateway)

    async def pay(session: Json) -> None:
        paid = await shop.control("POST", f"sessions/{session['id']}/pay")
        await stages.tell("checkout.session.completed", paid)

    shop.gateway.once_answered = pay
    order = await shop.create(course_request())

    assert order.payment_state == PAYMENT_STATE_PAID
    assert len(order.fulfillments) == 1
    assert len(stages.waker.fulfillments) == 1
    assert not (await shop.row(order.order_id)).creation_doubtful


async def test_within_23_hours_the_same_key_is_used_again(shop: Shop) -> None:
    request = course_request()
    order_id = await doubtful_order(shop, request)
    shop.late = timedelta(hours=22, minutes=59)

    order = await shop.create(request)

    assert order.checkout_session_id == (await shop.session())["id"]
    assert shop.gateway.keys == [f"{order_id}-0"] * 2


async def test_after_23_hours_the_session_is_looked_for_and_never_asked_for_again(shop: Shop) -> None:
    request = course_request()
    await doubtful_order(shop, request)
    shop.late = timedelta(hours=23, minutes=1)

    order = await shop.create(request)

    assert order.checkout_session_id == (await shop.session())["id"]
    assert shop.gateway.asked == {"create": 1, "find": 1}


async def test_a_session_that_has_expired_meanwhile_is_found_too(shop: Shop) -> None:
    request = course_request()
    await doubtful_order(shop, request)
    shop.late = timedelta(hours=30)
    await shop.control("POST", "clock", {"advance_seconds": 30 * 3600})

    assert (await shop.create(request)).payment_state == PAYMENT_STATE_EXPIRED
    assert shop.gateway.asked["create"] == 1


async def test_after_23_hours_without_a_session_the_next_generation_asks_with_a_new_key(shop: Shop) -> None:
    request = course_request()
    await shop.api_fault(status=429)
    with pytest.raises(StripeRateLimitedError):
        await shop.create(request)
    await shop.no_faults()
    order_id = (await shop.only_row()).order_id
    shop.late = timedelta(hours=30)

    order = await shop.create(request)

    assert order.payment_state == PAYMENT_STATE_OPEN
    assert shop.gateway.keys == [f"{order_id}-0", f"{order_id}-1"]
    assert "has no session of the earlier tries" in [row.summary for row in await shop.timeline(order_id)]
    assert len(await shop.sessions()) == 1


async def test_that_no_session_is_there_yet_proves_nothing_right_after_a_try(shop: Shop) -> None:
    request = course_request()
    await shop.api_fault(status=429)
    with pytest.raises(StripeRateLimitedError):
        await shop.create(request)
    await shop.no_faults()
    row = await shop.only_row()
    now = datetime.now(UTC)
    await shop.change(row.order_id, creation_first_call_time=now - timedelta(hours=24), creation_last_call_time=now)
    shop.gateway.keys.clear()

    with pytest.raises(StripeOutcomeUnknownError, match="too fresh") as unknown:
        await shop.create(request)

    assert unknown.value.metadata == {"order_id": row.order_id}
    assert shop.gateway.keys == []
    shop.late = timedelta(minutes=11)
    assert (await shop.create(request)).payment_state == PAYMENT_STATE_OPEN
    assert shop.gateway.keys == [f"{row.order_id}-1"]


async def test_a_search_that_stripe_does_not_answer_moves_no_generation(shop: Shop) -> None:
    request = course_request()
    order_id = await doubtful_order(shop, request)
    shop.late = timedelta(hours=30)
    await shop.api_fault(status=429)

    with pytest.raises(StripeOutcomeUnknownError):
        await shop.create(request)

    row = await shop.row(order_id)
    assert (row.creation_generation, row.creation_doubtful) == (0, True)
    assert shop.gateway.asked["create"] == 1


async def doubtful_order(shop: Shop, request: CreateCheckoutRequest) -> str:
    """Leave an order whose session Stripe has made and we do not know."""
    await leave_after_the_answer(shop, request)
    row = await shop.only_row()
    assert (row.payment_state, row.creation_doubtful) == (PaymentState.CREATING, True)
    return row.order_id


async def leave_after_the_answer(shop: Shop, request: CreateCheckoutRequest) -> None:
    """Cancel a call between Stripe's answer and the commit."""
    answered = asyncio.Event()

    async def stall(session: Json) -> None:
        answered.set()
        await asyncio.Event().wait()

    shop.gateway.once_answered = stall
    call = asyncio.create_task(shop.create(request))
    await answered.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
