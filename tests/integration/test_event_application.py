"""Each event gets its verdict with a reason, and what it says of money is folded exactly once."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from database_servers.postgres_server import PostgresServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent
from payments_service.orders.states import FulfillmentState, PaymentState, StripeEventState
from payments_service.storage.tables import stripe_events

from .stages import SESSION_ID, Stages, open_stages, session_of

COMPLETED = "checkout.session.completed"
Type = FulfillmentEvent


async def test_a_paid_session_moves_its_order_and_owes_one_fulfillment(stages: Stages) -> None:
    order = await stages.order()

    event = await stages.tell(COMPLETED, session_of(order))

    moved = await stages.order_now(order.order_id)
    (owed,) = await stages.owed(order.order_id)
    assert (event.state, event.order_id, event.organization_id) == (StripeEventState.APPLIED, order.order_id, "org_1")
    assert (moved.payment_state, moved.payment_intent_id, moved.total_minor_units) == (PaymentState.PAID, "pi_1", 4900)
    assert (owed.source_id, owed.state, owed.amount_minor_units) == (SESSION_ID, FulfillmentState.PENDING, 4900)
    assert stages.waker.fulfillments == [owed.fulfillment_id]
    assert [(e.type, e.order_version) for e in await stages.log()] == [
        (Type.TYPE_CHECKOUT_COMPLETED, 1),
        (Type.TYPE_PAYMENT_SUCCEEDED, 2),
    ]


async def test_the_same_news_again_changes_nothing(stages: Stages) -> None:
    order = await stages.order()
    await stages.tell(COMPLETED, session_of(order))
    before = (await stages.order_now(order.order_id), await stages.log())

    again = await stages.tell(COMPLETED, session_of(order))

    assert (again.state, again.verdict_reason) == (StripeEventState.IGNORED, "the order knew it already")
    assert (await stages.order_now(order.order_id), await stages.log()) == before


async def test_a_delayed_payment_grants_nothing_before_it_settles(stages: Stages) -> None:
    order = await stages.order()

    await stages.tell(COMPLETED, session_of(order, payment_status="unpaid"))
    waiting = (await stages.order_now(order.order_id)).payment_state, await stages.owed(order.order_id)
    await stages.tell("checkout.session.async_payment_succeeded", session_of(order))

    assert waiting == (PaymentState.AWAITING_FUNDS, [])
    assert (await stages.order_now(order.order_id)).payment_state == PaymentState.PAID
    assert len(await stages.owed(order.order_id)) == 1


@pytest.mark.parametrize(
    ("event_type", "session", "state", "told"),
    [
        (
            "checkout.session.async_payment_failed",
            ("complete", "unpaid"),
            PaymentState.FAILED,
            [Type.TYPE_CHECKOUT_COMPLETED, Type.TYPE_PAYMENT_FAILED],
        ),
        ("checkout.session.expired", ("expired", "unpaid"), PaymentState.EXPIRED, [Type.TYPE_CHECKOUT_EXPIRED]),
    ],
)
async def test_a_checkout_that_comes_to_nothing_says_so(
    stages: Stages, event_type: str, session: tuple[str, str], state: PaymentState, told: list[int]
) -> None:
    order = await stages.order()

    await stages.tell(event_type, session_of(order, *session))

    assert (await stages.order_now(order.order_id)).payment_state == state
    assert [event.type for event in await stages.log()] == told
    assert await stages.owed(order.order_id) == []


async def test_our_own_events_that_change_nothing_are_ignored(stages: Stages) -> None:
    order = await stages.order()
    intent = {"id": "pi_1", "object": "payment_intent", "metadata": session_of(order)["metadata"]}

    event = await stages.tell("payment_intent.succeeded", intent)

    assert (event.state, event.order_id) == (StripeEventState.IGNORED, order.order_id)
    assert event.verdict_reason == "payment_intent.succeeded changes nothing in an order"
    assert await stages.log() == []


async def test_an_event_that_is_not_ours_is_passed_on_byte_for_byte(stages: Stages) -> None:
    credits = {"id": "cs_credits", "object": "checkout.session", "metadata": {"type": "credits", "userId": "u_1"}}

    event = await stages.tell(COMPLETED, credits)

    (passed,) = await stages.log()
    assert event.state == StripeEventState.UNCLAIMED
    assert (passed.type, passed.order_version, passed.order_id) == (Type.TYPE_UNCLAIMED, 0, "cs_credits")
    assert passed.unclaimed.payload == event.payload
    assert passed.unclaimed.reason == event.verdict_reason


async def test_an_event_of_the_other_mode_is_never_mixed_in(stages: Stages) -> None:
    order = await stages.order()

    event = await stages.tell(COMPLETED, session_of(order), livemode=True)

    assert event.state == StripeEventState.UNCLAIMED
    assert (await stages.order_now(order.order_id)).payment_state == PaymentState.OPEN


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": "cs_other"}, "another session"),
        ({"metadata": {"organization_id": "org_2"}}, "metadata.organization_id"),
        ({"metadata": {"order_id": "ord_" + "f" * 32}}, "names the order ord_ffff"),
    ],
)
async def test_what_contradicts_our_order_fails_with_the_reason(
    stages: Stages, changes: dict[str, object], reason: str
) -> None:
    order = await stages.order()
    session = session_of(order)
    metadata = session["metadata"] | changes.get("metadata", {})

    event = await stages.tell(COMPLETED, session | changes | {"metadata": metadata})

    assert event.state == StripeEventState.FAILED
    assert reason in event.verdict_reason
    assert (await stages.order_now(order.order_id)).payment_state == PaymentState.OPEN


async def test_an_event_of_another_account_is_not_our_orders(stages: Stages) -> None:
    order = await stages.order()

    event = await stages.tell(COMPLETED, session_of(order), stripe_account="acct_7")

    assert event.state == StripeEventState.FAILED
    assert "another Stripe account" in event.verdict_reason


async def test_a_refund_of_an_unknown_payment_waits_and_is_then_passed_on(stages: Stages) -> None:
    refund = {"id": "re_1", "object": "refund", "payment_intent": "pi_9"}

    waiting = await stages.tell("refund.created", refund)
    await stages.make_due()
    await _receive_earlier(stages, waiting.stripe_event_id, minutes=11)
    await stages.events.work(waiting.stripe_event_id)

    assert (waiting.state, waiting.attempts) == (StripeEventState.DEFERRED, 0)
    assert (await stages.event_now(waiting.stripe_event_id)).state == StripeEventState.UNCLAIMED


async def test_an_order_that_learns_its_payment_takes_back_what_waited_for_it(stages: Stages) -> None:
    order = await stages.order()
    refund = await stages.tell("refund.created", {"id": "re_1", "object": "refund", "payment_intent": "pi_1"})

    await stages.tell(COMPLETED, session_of(order))
    await stages.events.work(refund.stripe_event_id)

    settled = await stages.event_now(refund.stripe_event_id)
    assert (settled.state, settled.order_id) == (StripeEventState.APPLIED, order.order_id)


async def test_two_workers_on_one_event_apply_it_once(stages: Stages) -> None:
    order = await stages.order()
    event_id = await stages.store(COMPLETED, session_of(order))

    await asyncio.gather(*(stages.events.work(event_id) for _ in range(10)))

    assert (await stages.event_now(event_id)).attempts == 1
    assert len(await stages.log()) == 2


async def test_an_event_that_cannot_be_applied_is_tried_again_and_at_last_failed(stages: Stages) -> None:
    order = await stages.order()
    event_id = await stages.store(COMPLETED, session_of(order), payload=b'{"data": {}}')

    states = []
    for _ in range(3):
        await stages.events.work(event_id)
        states.append((await stages.event_now(event_id)).state)
        await stages.make_due()

    failed = await stages.event_now(event_id)
    assert states == [StripeEventState.PENDING, StripeEventState.PENDING, StripeEventState.FAILED]
    assert "KeyError" in failed.last_error


async def test_an_event_that_kills_its_process_runs_out_of_attempts(stages: Stages) -> None:
    event_id = await stages.store(COMPLETED, {"id": "cs_1"}, attempts=3)

    await stages.events.work(event_id)

    event = await stages.event_now(event_id)
    assert event.state == StripeEventState.FAILED
    assert "process died" in event.last_error


async def test_a_dry_replay_shows_what_would_change_and_changes_nothing(stages: Stages) -> None:
    late = await stages.tell(
        COMPLETED, {"id": SESSION_ID, "object": "checkout.session", "metadata": {"type": "course"}}
    )
    order = await stages.order()
    session = session_of(order)
    event_id = await stages.store(COMPLETED, session, state=StripeEventState.FAILED, verdict_reason="a bug")

    dry = await stages.replay.replay(stripe_event_ids=[event_id], states=[], dry_run=True, after=None, limit=50)
    still = (await stages.event_now(event_id)).state, (await stages.order_now(order.order_id)).payment_state
    wet = await stages.replay.replay(stripe_event_ids=[event_id], states=[], dry_run=False, after=None, limit=50)

    assert late.state == StripeEventState.FAILED
    assert still == (StripeEventState.FAILED, PaymentState.OPEN)
    assert [str(change) for change in dry.changes] == [str(change) for change in wet.changes]
    assert {(c.field, c.before, c.after) for c in wet.changes} >= {
        ("state", "STATE_FAILED", "STATE_APPLIED"),
        ("order.payment_state", "PAYMENT_STATE_OPEN", "PAYMENT_STATE_PAID"),
    }
    assert (await stages.order_now(order.order_id)).payment_state == PaymentState.PAID


TOLD = [
    (COMPLETED, "complete", "unpaid"),
    (COMPLETED, "complete", "paid"),
    ("checkout.session.async_payment_succeeded", "complete", "paid"),
    ("checkout.session.async_payment_failed", "complete", "unpaid"),
    ("checkout.session.expired", "expired", "unpaid"),
]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=st.lists(st.sampled_from(TOLD), max_size=7))
def test_whatever_stripe_says_in_whatever_order_a_fulfillment_is_owed_once_and_only_when_paid(
    told: list[tuple[str, str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    asyncio.run(_tell_all(told, tmp_path_factory.mktemp("stages")))


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=st.lists(st.sampled_from(TOLD), max_size=7))
def test_on_postgresql_too_whatever_stripe_says_a_fulfillment_is_owed_once_and_only_when_paid(
    told: list[tuple[str, str, str]], postgres: PostgresServer
) -> None:
    asyncio.run(_tell_all_in_a_new_database(told, postgres))


async def _tell_all_in_a_new_database(told: list[tuple[str, str, str]], postgres: PostgresServer) -> None:
    async with postgres.new_database() as url:
        await _tell_all(told, url)


async def _tell_all(told: list[tuple[str, str, str]], place: Path | str) -> None:
    async with open_stages(place) as stages:
        order = await stages.order()
        for number, (event_type, status, payment_status) in enumerate(told, 1):
            await stages.tell(event_type, session_of(order, status, payment_status))
            assert len(await stages.owed(order.order_id)) == any(seen[2] == "paid" for seen in told[:number])

        log = await stages.log()
        moved = await stages.order_now(order.order_id)
    ever_paid = any(payment_status == "paid" for _, _, payment_status in told)
    assert (moved.payment_state == PaymentState.PAID) == ever_paid
    assert [event.order_version for event in log] == list(range(1, len(log) + 1))
    assert sum(event.type == Type.TYPE_PAYMENT_SUCCEEDED for event in log) == ever_paid


async def _receive_earlier(stages: Stages, event_id: str, minutes: int) -> None:
    received = (await stages.event_now(event_id)).receive_time - timedelta(minutes=minutes)
    async with stages.database.transaction() as tx:
        statement = update(stripe_events).where(stripe_events.c.stripe_event_id == event_id)
        await tx.execute(statement.values(receive_time=received))
