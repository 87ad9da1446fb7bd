"""A webhook that never comes delays, and loses nothing: Stripe's own list and Stripe's own word are asked for."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent
from payments_service.contract.pb.payments.v1.operations_pb2 import (
    GetStatusRequest,
    GetStatusResponse,
    ListStripeEventsRequest,
    ReconcileRequest,
)
from payments_service.contract.pb.payments.v1.order_pb2 import PAYMENT_STATE_OPEN, PAYMENT_STATE_PAID
from payments_service.contract.pb.payments.v1.payments_pb2 import WaitOrderRequest

from .shop import PATIENCE, Shop, open_shop, settings_in

DROP_ALL = {"webhooks": {"drop": 1.0}}


async def _status(shop: Shop) -> GetStatusResponse:
    return await shop.operations.GetStatus(GetStatusRequest())


async def first_round(shop: Shop) -> None:
    """Wait until the reconciler's first round is over: its next one is a minute away."""
    async with asyncio.timeout(PATIENCE):
        while not (await _status(shop)).HasField("last_reconcile_time"):  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.05)


async def test_all_webhooks_dropped_and_every_order_is_fulfilled(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, reconcile_interval=0.5)
    async with open_shop(settings) as shop, shop.subscribed() as subscription:
        await shop.sandbox("PUT", "faults", DROP_ALL)
        orders = [await shop.checkout() for _ in range(10)]
        for order in orders:
            await shop.buyer(order)
        for order in orders:
            await subscription.of(order, FulfillmentEvent.TYPE_FULFILLED)
        events = (await shop.operations.ListStripeEvents(ListStripeEventsRequest())).stripe_events
        status = await shop.operations.GetStatus(GetStatusRequest())

    told = [event.order_id for event in subscription.events if event.type == FulfillmentEvent.TYPE_FULFILLED]
    assert sorted(told) == sorted(order.order_id for order in orders)
    assert {event.source for event in events} == {"reconciler"}
    assert {event.deliveries for event in events} == {1}
    assert datetime.now(UTC) - status.last_reconcile_time.ToDatetime(UTC) < timedelta(minutes=1)


async def test_an_operator_reads_a_time_again_and_what_is_known_is_not_missed(shop: Shop) -> None:
    await first_round(shop)
    await shop.sandbox("PUT", "faults", DROP_ALL)
    order = await shop.checkout()
    await shop.buyer(order)
    since = Timestamp()
    since.FromDatetime(datetime.now(UTC) - timedelta(hours=1))

    first = await shop.operations.Reconcile(ReconcileRequest(start_time=since))
    again = await shop.operations.Reconcile(ReconcileRequest(start_time=since))

    assert first.missed == first.listed == again.listed > 0
    assert again.missed == 0


async def test_more_than_stripe_lists_cannot_be_asked_for(shop: Shop) -> None:
    since = Timestamp()
    since.FromDatetime(datetime.now(UTC) - timedelta(days=31))

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await shop.operations.Reconcile(ReconcileRequest(start_time=since))

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_who_waits_sees_each_state_and_stripe_is_asked_when_the_webhook_is_late(shop: Shop) -> None:
    await shop.sandbox("PUT", "faults", DROP_ALL)
    order = await shop.checkout()

    seen = []
    async for response in shop.payments.WaitOrder(WaitOrderRequest(order_id=order.order_id)):
        seen.append((response.order.payment_state, response.settled))
        if len(seen) == 1:
            await shop.buyer(order)

    assert seen[0] == (PAYMENT_STATE_OPEN, False)
    assert seen[-1] == (PAYMENT_STATE_PAID, True)
