"""WaitOrder tells a return page each state of an order, also where no webhook comes."""

import asyncio
from contextlib import asynccontextmanager
from typing import Any

from google.protobuf.duration_pb2 import Duration

from payments_service.contract.pb.payments.v1.order_pb2 import (
    FULFILLMENT_STATE_FULFILLED,
    PAYMENT_STATE_AWAITING_FUNDS,
    PAYMENT_STATE_OPEN,
    PAYMENT_STATE_PAID,
    Order,
)
from payments_service.contract.pb.payments.v1.payments_pb2 import WaitOrderRequest

from .sales import ON_SQLITE
from .shop import PATIENCE, Shop


@asynccontextmanager
async def waiting(shop: Shop, order: Order) -> Any:  # noqa: ANN401
    """Wait for an order beside what the test does, and for the end of waiting; gives the states as they come."""
    states: list[tuple[int, bool]] = []
    request = WaitOrderRequest(order_id=order.order_id, max_wait=Duration(seconds=int(PATIENCE)))

    async def read() -> None:
        async for response in shop.payments.WaitOrder(request):
            states.append((response.order.payment_state, response.settled))

    reading = asyncio.create_task(read())
    await until_state(states, PAYMENT_STATE_OPEN)
    yield states
    await reading


async def until_state(states: list[tuple[int, bool]], wanted: int) -> None:
    """Wait until a waiter was told a state."""
    async with asyncio.timeout(PATIENCE):
        while wanted not in [state for state, _ in states]:  # noqa: ASYNC110  # there is no event to wait for
            await asyncio.sleep(0.01)


async def test_a_waiter_is_told_each_state_until_the_purchase_is_handed_over(shop: Shop) -> None:
    order = await shop.checkout()
    async with waiting(shop, order) as states:
        await shop.buyer(order, "pay_later")
        await until_state(states, PAYMENT_STATE_AWAITING_FUNDS)
        await shop.buyer(order, "settle")

    assert states[0] == (PAYMENT_STATE_OPEN, False)
    assert (PAYMENT_STATE_AWAITING_FUNDS, False) in states
    assert states[-1] == (PAYMENT_STATE_PAID, True)
    assert (await shop.order_now(order)).fulfillment_state == FULFILLMENT_STATE_FULFILLED


@ON_SQLITE
async def test_a_waiter_asks_stripe_where_webhooks_do_not_come(shop: Shop) -> None:
    await shop.sandbox("PUT", "faults", {"webhooks": {"drop": 1.0}})
    order = await shop.checkout()
    async with waiting(shop, order) as states:
        await shop.buyer(order)

    assert states[0] == (PAYMENT_STATE_OPEN, False)
    assert states[-1] == (PAYMENT_STATE_PAID, True)
