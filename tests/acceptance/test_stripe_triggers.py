"""Events that Stripe's own command line triggers reach the service: passed on, or ours where they say so."""

from pathlib import Path

import pytest
from stripe_cli.trigger import stripe_binary, trigger

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import (
    FulfillmentEvent,
    FulfillmentFilter,
    StartPosition,
)
from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import StreamFulfillmentsRequest

from .shop import Shop

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
OURS = {"type": "course", "organizationId": "org_1", "userId": "u_1", "customId": "sql"}


@pytest.fixture(scope="module")
def binary() -> Path:
    return stripe_binary()


@pytest.mark.parametrize(
    "event_type", ["checkout.session.completed", "invoice.paid", "charge.refunded", "customer.subscription.deleted"]
)
async def test_what_is_not_ours_is_passed_on(shop: Shop, binary: Path, event_type: str) -> None:
    unclaimed = FulfillmentFilter(types=[FulfillmentEvent.TYPE_UNCLAIMED])
    request = StreamFulfillmentsRequest(start=StartPosition(earliest=True), filter=unclaimed)
    stream = shop.payments.StreamFulfillments(request)
    await trigger(binary, shop.running.sandbox_url, event_type)
    told: list[str] = []
    async for response in stream:
        told += [event.unclaimed.stripe_type for event in response.events]
        if event_type in told:
            break
    stream.cancel()


async def test_a_triggered_checkout_with_our_metadata_is_fulfilled(shop: Shop, binary: Path) -> None:
    added = [part for key, value in OURS.items() for part in ("--add", f"checkout_session:metadata.{key}={value}")]
    async with shop.subscribed() as told:
        await trigger(binary, shop.running.sandbox_url, "checkout.session.completed", *added)
        events = await told.until(lambda all_told: FulfillmentEvent.TYPE_FULFILLED in [one.type for one in all_told])
    order = events[-1].order
    assert (order.created_by, order.user_id, order.purchase.course.course_id) == ("stripe", "u_1", "sql")
