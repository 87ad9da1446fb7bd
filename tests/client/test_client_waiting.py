"""Waiting for an order: to its end or the end of the time, whatever happens to the connection meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator

import grpc
import pytest
from payments_client import (
    AsyncPaymentsClient,
    FulfillmentState,
    OrderNotFoundError,
    PaymentsClient,
    UnavailableError,
    WaitUntil,
)
from payments_client.pb.payments.v1 import payments_pb2 as pb
from payments_client.pb.payments.v1.order_pb2 import FulfillmentState as State
from payments_client.pb.payments.v1.order_pb2 import Order

from .contract_server import Context, refuse, serving

PATIENCE = 20.0


class Waits:
    """Answers WaitOrder: pending, then cut so many times, then fulfilled."""

    def __init__(self, cuts: int = 0, settles: bool = True) -> None:
        """Take how often it is cut, and whether it ever comes."""
        self.requests: list[pb.WaitOrderRequest] = []
        self._cuts = cuts
        self._settles = settles

    async def wait(self, request: pb.WaitOrderRequest, context: Context) -> AsyncIterator[pb.WaitOrderResponse]:
        """Serve one call."""
        self.requests.append(request)
        pending = Order(order_id="ord_1", fulfillment_state=State.FULFILLMENT_STATE_PENDING)
        yield pb.WaitOrderResponse(order=pending)
        if len(self.requests) <= self._cuts:
            await refuse(context, grpc.StatusCode.UNAVAILABLE, "DRAINING")
        if self._settles:
            fulfilled = Order(order_id="ord_1", fulfillment_state=State.FULFILLMENT_STATE_FULFILLED)
            yield pb.WaitOrderResponse(order=fulfilled, settled=True)
        else:
            await asyncio.sleep(request.max_wait.ToTimedelta().total_seconds())


@pytest.mark.parametrize("cuts", [0, 3])
async def test_it_gives_the_order_when_it_is_settled(cuts: int) -> None:
    waits = Waits(cuts)
    async with serving({"WaitOrder": waits.wait}) as address, AsyncPaymentsClient(address) as client:
        ended = await asyncio.wait_for(client.wait_order("ord_1"), PATIENCE)

    assert ended.settled
    assert ended.order.fulfillment_state is FulfillmentState.FULFILLED
    assert len(waits.requests) == cuts + 1
    assert waits.requests[0].max_wait.seconds in {59, 60}


async def test_a_blocking_client_waits_alike() -> None:
    waits = Waits(cuts=1)

    def wait(address: str) -> bool:
        with PaymentsClient(address) as client:
            return client.wait_order(checkout_session_id="cs_1", until=WaitUntil.PAID, max_wait=10).settled

    async with serving({"WaitOrder": waits.wait}) as address:
        assert await asyncio.wait_for(asyncio.to_thread(wait, address), PATIENCE)

    assert {request.checkout_session_id for request in waits.requests} == {"cs_1"}
    assert {request.until for request in waits.requests} == {pb.WaitOrderRequest.UNTIL_PAID}


async def test_when_the_time_is_up_it_gives_the_order_as_it_is() -> None:
    waits = Waits(settles=False)
    async with serving({"WaitOrder": waits.wait}) as address, AsyncPaymentsClient(address) as client:
        began = time.monotonic()
        ended = await asyncio.wait_for(client.wait_order("ord_1", max_wait=0.5), PATIENCE)

    assert not ended.settled
    assert ended.order.fulfillment_state is FulfillmentState.PENDING
    assert time.monotonic() - began >= 0.45


async def test_what_would_be_refused_again_is_raised_at_once() -> None:
    async def wait(_: pb.WaitOrderRequest, context: Context) -> None:
        await refuse(context, grpc.StatusCode.NOT_FOUND, "ORDER_NOT_FOUND")

    async with serving({"WaitOrder": wait}) as address, AsyncPaymentsClient(address) as client:
        with pytest.raises(OrderNotFoundError):
            await asyncio.wait_for(client.wait_order("ord_1"), PATIENCE)


async def test_a_service_that_stays_away_is_unavailable_when_the_time_is_up() -> None:
    async with AsyncPaymentsClient("127.0.0.1:9") as client:
        with pytest.raises(UnavailableError):
            await asyncio.wait_for(client.wait_order("ord_1", max_wait=0.5), PATIENCE)
