"""Money that goes back takes back what it paid for, and money that comes again grants it again: once each, told."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent
from payments_service.contract.pb.payments.v1.payments_pb2 import CompleteFulfillmentRequest
from payments_service.errors import FulfillmentNotAwaitedError, GenerationMismatchError
from payments_service.fulfillment.plugin import FulfillmentTask
from payments_service.orders.states import FulfillmentState, PaymentState, StripeEventState
from payments_service.scope import EVERYTHING
from payments_service.storage.entitlement_rows import find_entitlement
from payments_service.storage.order_rows import OrderRow

from .stages import COURSE, Stages, open_stages, session_of
from .test_fulfillment import GIFT_CARD, SERVICE

COMPLETED = "checkout.session.completed"
Type = FulfillmentEvent
STATUSES = {"created": "pending", "updated": "succeeded", "failed": "failed"}


def refund_of(order: OrderRow, status: str, amount: int = 4900, refund_id: str = "re_1") -> dict[str, Any]:
    intent = order.payment_intent_id or "pi_1"
    return {
        "id": refund_id,
        "object": "refund",
        "status": status,
        "amount": amount,
        "currency": "usd",
        "payment_intent": intent,
    }


def dispute(status: str) -> dict[str, Any]:
    return {"id": "dp_1", "object": "dispute", "status": status, "amount": 4900, "payment_intent": "pi_1"}


async def fulfilled(stages: Stages, purchase: Any = COURSE) -> OrderRow:  # noqa: ANN401
    order = await stages.order(purchase)
    await stages.tell(COMPLETED, session_of(order))
    await stages.fulfill(order.order_id)
    return await stages.order_now(order.order_id)


async def entitled(stages: Stages, order: OrderRow) -> bool:
    async with stages.database.reading() as reading:
        row = await find_entitlement(reading, order.order_id)
    return row is not None and row.revoke_time is None


async def told(stages: Stages) -> list[int]:
    return [event.type for event in await stages.log()]


async def test_a_full_refund_revokes_once_it_has_succeeded(stages: Stages) -> None:
    order = await fulfilled(stages)

    await stages.tell("refund.created", refund_of(order, "pending"))
    waiting = (await stages.fulfill(order.order_id)).state, await entitled(stages, order)
    await stages.tell("refund.updated", refund_of(order, "succeeded"))
    revoked = await stages.fulfill(order.order_id)

    moved = await stages.order_now(order.order_id)
    assert waiting == (FulfillmentState.FULFILLED, True)
    assert (moved.payment_state, moved.refunded_minor_units) == (PaymentState.REFUNDED, 4900)
    assert (revoked.state, moved.fulfillment_state) == (FulfillmentState.REVOKED, FulfillmentState.REVOKED)
    assert not await entitled(stages, order)
    assert (await told(stages))[-2:] == [Type.TYPE_REFUNDED, Type.TYPE_REVOKED]
    assert (await stages.log())[-2].refund.refund_id == "re_1"


async def test_a_part_refund_leaves_access_and_says_how_much(stages: Stages) -> None:
    order = await fulfilled(stages)

    await stages.tell("refund.updated", refund_of(order, "succeeded", 1000))
    kept = await stages.fulfill(order.order_id)

    moved = await stages.order_now(order.order_id)
    assert (moved.payment_state, moved.refunded_minor_units) == (PaymentState.PARTIALLY_REFUNDED, 1000)
    assert (kept.state, kept.refunded_minor_units) == (FulfillmentState.FULFILLED, 1000)
    assert await entitled(stages, order)


async def test_two_part_refunds_that_make_the_whole_revoke(stages: Stages) -> None:
    order = await fulfilled(stages)

    await stages.tell("refund.updated", refund_of(order, "succeeded", 1000, "re_1"))
    await stages.tell("refund.updated", refund_of(order, "succeeded", 3900, "re_2"))

    assert (await stages.fulfill(order.order_id)).state == FulfillmentState.REVOKED


async def test_a_refund_that_fails_after_all_grants_again_as_the_next_generation(stages: Stages) -> None:
    order = await fulfilled(stages)
    await stages.tell("refund.updated", refund_of(order, "succeeded"))
    await stages.fulfill(order.order_id)

    await stages.tell("refund.failed", refund_of(order, "failed"))
    again = await stages.fulfill(order.order_id)

    assert (again.state, again.generation) == (FulfillmentState.FULFILLED, 1)
    assert await entitled(stages, order)
    assert (await stages.order_now(order.order_id)).payment_state == PaymentState.PAID
    assert (await told(stages))[-3:] == [Type.TYPE_REFUND_FAILED, Type.TYPE_RESTORED, Type.TYPE_FULFILLED]


async def test_a_dispute_that_is_lost_revokes_and_one_that_is_won_does_not(stages: Stages) -> None:
    order = await fulfilled(stages)

    await stages.tell("charge.dispute.created", dispute("needs_response"))
    opened = (await stages.order_now(order.order_id)).payment_state, await entitled(stages, order)
    await stages.tell("charge.dispute.closed", dispute("lost"))
    revoked = await stages.fulfill(order.order_id)

    assert opened == (PaymentState.DISPUTED, True)
    assert revoked.state == FulfillmentState.REVOKED
    assert (await stages.order_now(order.order_id)).payment_state == PaymentState.CHARGED_BACK
    assert (await told(stages))[-3:] == [Type.TYPE_DISPUTE_OPENED, Type.TYPE_DISPUTE_LOST, Type.TYPE_REVOKED]


async def test_money_that_a_bank_gives_back_grants_again(stages: Stages) -> None:
    order = await fulfilled(stages)
    await stages.tell("charge.dispute.closed", dispute("lost"))
    await stages.fulfill(order.order_id)

    await stages.tell("charge.dispute.funds_reinstated", dispute("won"))
    again = await stages.fulfill(order.order_id)

    assert (again.state, again.generation) == (FulfillmentState.FULFILLED, 1)
    assert (await stages.order_now(order.order_id)).payment_state == PaymentState.PAID


async def test_an_early_warning_is_no_dispute(stages: Stages) -> None:
    order = await fulfilled(stages)

    event = await stages.tell("charge.dispute.created", dispute("warning_needs_response"))

    assert event.state == StripeEventState.APPLIED
    assert (await stages.order_now(order.order_id)).payment_state == PaymentState.PAID


async def test_an_owner_is_told_of_a_revocation_and_a_late_report_is_refused(stages: Stages) -> None:
    order = await fulfilled(stages, SERVICE)
    (row,) = await stages.owed(order.order_id)
    report = CompleteFulfillmentRequest(fulfillment_id=row.fulfillment_id)

    await stages.tell("refund.updated", refund_of(order, "succeeded"))
    with pytest.raises(FulfillmentNotAwaitedError):
        await stages.desk.complete(report, EVERYTHING)
    await stages.fulfill(order.order_id)
    await stages.tell("refund.failed", refund_of(order, "failed"))
    await stages.fulfill(order.order_id)
    with pytest.raises(GenerationMismatchError):
        await stages.desk.complete(report, EVERYTHING)

    assert (await told(stages))[2:] == [
        Type.TYPE_FULFILLMENT_REQUESTED,
        Type.TYPE_REFUNDED,
        Type.TYPE_REVOKED,
        Type.TYPE_REFUND_FAILED,
        Type.TYPE_RESTORED,
        Type.TYPE_FULFILLMENT_REQUESTED,
    ]


class Slow:
    """A plug-in that waits until it may go on, and notes what it was asked."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.calls: list[str] = []

    async def fulfill(self, task: FulfillmentTask) -> Mapping[str, str]:
        """Make it."""
        self.begun.set()
        await self.may_end.wait()
        self.calls.append(f"fulfill {task.idempotency_key[-1]}")
        return {}

    async def revoke(self, task: FulfillmentTask) -> None:
        """Take it back."""
        self.calls.append(f"revoke {task.idempotency_key[-1]}")


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
async def with_slow(tmp_path: Path, slow: Slow) -> AsyncIterator[Stages]:
    async with open_stages(tmp_path, {"gift_card": slow}) as opened:
        yield opened


async def test_a_revocation_waits_for_the_running_attempt_and_then_undoes_it(with_slow: Stages, slow: Slow) -> None:
    stages = with_slow
    order = await stages.order(GIFT_CARD)
    await stages.tell(COMPLETED, session_of(order))
    (row,) = await stages.owed(order.order_id)
    running = asyncio.create_task(stages.fulfillments.work(row.fulfillment_id))
    await slow.begun.wait()

    await stages.tell("refund.updated", refund_of(order, "succeeded"))
    await stages.fulfillments.work(row.fulfillment_id)
    meanwhile = list(slow.calls)
    slow.may_end.set()
    await running
    revoked = await stages.fulfill(order.order_id)

    assert meanwhile == []
    assert slow.calls == ["fulfill 0", "revoke 0"]
    assert revoked.state == FulfillmentState.REVOKED


async def test_what_was_never_begun_is_revoked_without_the_plugin(with_slow: Stages, slow: Slow) -> None:
    stages = with_slow
    order = await stages.order(GIFT_CARD)
    await stages.tell(COMPLETED, session_of(order))
    await stages.tell("refund.updated", refund_of(order, "succeeded"))

    assert (await stages.fulfill(order.order_id)).state == FulfillmentState.REVOKED
    assert slow.calls == []


async def test_a_refund_and_a_dispute_may_come_before_the_completion(stages: Stages) -> None:
    order = await stages.order()
    refund = await stages.tell("refund.updated", refund_of(order, "succeeded"))
    lost = await stages.tell("charge.dispute.closed", dispute("lost"))
    await stages.tell(COMPLETED, session_of(order))
    await stages.events.work(refund.stripe_event_id)
    await stages.events.work(lost.stripe_event_id)

    assert refund.state == lost.state == StripeEventState.DEFERRED
    assert (await stages.order_now(order.order_id)).payment_state == PaymentState.CHARGED_BACK
    assert (await stages.fulfill(order.order_id)).state == FulfillmentState.REVOKED


STORY = [
    (COMPLETED, None),
    ("refund.created", "pending"),
    ("refund.updated", "succeeded"),
    ("refund.failed", "failed"),
    ("charge.dispute.created", "needs_response"),
    ("charge.dispute.closed", "won"),
]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(STORY), work=st.lists(st.booleans(), min_size=len(STORY), max_size=len(STORY)))
def test_in_whatever_order_it_is_told_the_end_is_the_same(
    order: list[tuple[str, str | None]], work: list[bool], tmp_path_factory: pytest.TempPathFactory
) -> None:
    state, fulfillment = asyncio.run(_end_of(order, work, tmp_path_factory.mktemp("stages")))

    assert state == PaymentState.PAID
    assert fulfillment == FulfillmentState.FULFILLED


async def _end_of(told_in: list[tuple[str, str | None]], work: list[bool], folder: Path) -> tuple[int, int]:
    async with open_stages(folder) as stages:
        order = await stages.order()
        ids = []
        for (event_type, status), works in zip(told_in, work, strict=True):
            kind = dispute(status or "") if "dispute" in event_type else refund_of(order, status or "")
            event = await stages.tell(event_type, session_of(order) if status is None else kind)
            ids.append(event.stripe_event_id)
            if works and await stages.owed(order.order_id):
                await stages.fulfill(order.order_id)
        for event_id in ids:
            await stages.events.work(event_id)
        for _ in range(3):
            await stages.fulfill(order.order_id)
        return (await stages.order_now(order.order_id)).payment_state, (await stages.fulfill(order.order_id)).state
