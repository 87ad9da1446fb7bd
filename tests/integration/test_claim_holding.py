"""A plug-in that works for longer than a lease keeps its claim, and is broken off where it cannot be kept."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest
from sqlalchemy import update

from payments_service.contract.pb.payments.v1.purchase_pb2 import CustomPurchase, Purchase
from payments_service.fulfillment.attempt import Share
from payments_service.fulfillment.plugin import FulfillmentTask
from payments_service.fulfillment.settlement import AttemptLostError
from payments_service.orders.states import FulfillmentState
from payments_service.storage.fulfillment_rows import ALL_TYPES
from payments_service.storage.tables import fulfillments

from .stages import Stages, open_stages, session_of

GIFT_CARD = Purchase(custom=CustomPurchase(type="gift_card", custom_id="g1"))
BRIEFLY = Share(ALL_TYPES, 1.0)


class SlowGiftCards:
    """A plug-in that works until it is let go."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.let_go = asyncio.Event()
        self.runs = 0
        self.broken_off = 0

    async def fulfill(self, task: FulfillmentTask) -> Mapping[str, str]:
        """Make a card, slowly."""
        self.runs += 1
        self.begun.set()
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.broken_off += 1
            raise
        return {"card": "made"}

    async def revoke(self, task: FulfillmentTask) -> None:
        """Take the card back."""


@pytest.fixture
def slow() -> SlowGiftCards:
    return SlowGiftCards()


@pytest.fixture
async def stages(database_url: str, slow: SlowGiftCards) -> AsyncIterator[Stages]:
    async with open_stages(database_url, {"gift_card": slow}) as opened:
        yield opened


async def owed_card(stages: Stages) -> str:
    order = await stages.order(GIFT_CARD)
    await stages.tell("checkout.session.completed", session_of(order))
    (row,) = await stages.owed(order.order_id)
    return row.fulfillment_id


async def test_a_plugin_that_outlasts_its_lease_is_not_begun_a_second_time(stages: Stages, slow: SlowGiftCards) -> None:
    fulfillment_id = await owed_card(stages)
    working = asyncio.create_task(stages.fulfillments.attempts.attempt(fulfillment_id, BRIEFLY))
    await slow.begun.wait()
    for _ in range(5):
        await asyncio.sleep(0.5)
        assert await stages.fulfillments.attempts.attempt(fulfillment_id, BRIEFLY) is None
    slow.let_go.set()

    attempted = await working

    assert attempted is not None
    assert (attempted.outcome.state, slow.runs) == (FulfillmentState.FULFILLED, 1)


async def test_a_plugin_whose_claim_cannot_be_kept_is_broken_off(stages: Stages, slow: SlowGiftCards) -> None:
    fulfillment_id = await owed_card(stages)
    working = asyncio.create_task(stages.fulfillments.attempts.attempt(fulfillment_id, BRIEFLY))
    await slow.begun.wait()
    async with stages.database.transaction() as tx:
        await tx.execute(update(fulfillments).values(claim_epoch=fulfillments.c.claim_epoch + 1))

    async with asyncio.timeout(10):
        with pytest.raises(AttemptLostError):
            await working

    assert slow.broken_off == slow.runs == 1
