"""An organization that sells by its own Stripe account: checkout, webhook and refund go there, and nothing is mixed."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from payments_service.contract.pb.payments.v1.operations_pb2 import ListStripeEventsRequest
from payments_service.contract.pb.payments.v1.order_pb2 import Order
from payments_service.contract.pb.payments.v1.payments_pb2 import WaitOrderRequest
from payments_service.contract.pb.payments.v1.stripe_event_pb2 import StripeEvent

from .shop import Shop, checkout_request, open_shop, settings_in

ACCOUNT = "acct_1ABCDEFGHIJKLMNO"
TOKEN = "operator-token"
BEARER = (("authorization", f"Bearer {TOKEN}"),)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    callers = tmp_path / "callers.toml"
    callers.write_text(
        f"""
[[callers]]
name = "ops"
token_sha256 = ["{hashlib.sha256(TOKEN.encode()).hexdigest()}"]
role = "operator"
organizations = ["*"]
purchase_types = ["*"]

[[organizations]]
id = "org_7"
stripe_account = "{ACCOUNT}"
"""
    )
    async with open_shop(settings_in(tmp_path, callers_file=callers)) as opened:
        yield opened


async def sold(shop: Shop, organization_id: str) -> Order:
    request = checkout_request(organization_id=organization_id)
    return (await shop.payments.CreateCheckout(request, metadata=BEARER)).order


async def settled(shop: Shop, order: Order) -> Order:
    """Wait until the order is fulfilled, as a return page does."""
    last = order
    async for response in shop.payments.WaitOrder(WaitOrderRequest(order_id=order.order_id), metadata=BEARER):
        last = response.order
    return last


async def test_a_sale_by_a_connected_account_is_fulfilled_like_any_other(shop: Shop) -> None:
    order = await sold(shop, "org_7")
    own = await sold(shop, "org_1")

    await shop.buyer(order)
    await shop.buyer(own)

    assert (order.stripe_account, own.stripe_account) == (ACCOUNT, "")
    assert [(await settled(shop, one)).fulfillments[0].attempts for one in (order, own)] == [1, 1]
    events = (await shop.operations.ListStripeEvents(ListStripeEventsRequest(), metadata=BEARER)).stripe_events
    accounts = {event.order_id: event.stripe_account for event in events if event.state == StripeEvent.STATE_APPLIED}
    assert accounts == {order.order_id: ACCOUNT, own.order_id: ""}


async def test_without_a_token_nothing_is_served(shop: Shop) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await shop.payments.CreateCheckout(checkout_request())

    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
