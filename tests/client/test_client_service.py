"""The client and the service itself: a purchase from the call to the event, and a stream over a line that breaks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
from acceptance.shop import Shop, open_shop, settings_in
from payments_client import (
    AsyncPaymentsClient,
    CheckoutNotOpenError,
    Course,
    Custom,
    Event,
    EventFilter,
    EventType,
    FulfillmentState,
    Interval,
    InvalidRequestError,
    LineItem,
    Mode,
    Money,
    NotASubscriptionError,
    NothingToRefundError,
    PaymentsClient,
    PaymentState,
    Purchase,
    Recurrence,
    RefundExceedsPaymentError,
    RefundReason,
    RequestIdReusedError,
    Start,
    SubscriptionState,
)

from .cutting_proxy import open_proxy

PATIENCE = 30.0
REQUEST = "6a4f6c1e-7f5d-4a52-9a44-5a2d1b7f0c11"
SQL = Course("intro-to-sql")
ITEM = LineItem("Intro to SQL", Money("EUR", 4900))


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(settings_in(tmp_path)) as opened:
        yield opened


@pytest.fixture
async def client(shop: Shop) -> AsyncIterator[AsyncPaymentsClient]:
    async with AsyncPaymentsClient(shop.running.grpc_address) as opened, asyncio.timeout(PATIENCE):
        yield opened


async def pay(shop: Shop, session_id: str) -> None:
    await shop.sandbox("POST", f"sessions/{session_id}/pay")


async def sell(client: AsyncPaymentsClient, shop: Shop, purchase: Purchase = SQL, user: str = "user_1") -> str:
    """Sell something; gives the order's id."""
    checkout = await client.create_checkout(organization_id="org_1", user_id=user, purchase=purchase, line_items=[ITEM])
    await pay(shop, checkout.order.checkout_session_id)
    return checkout.order.order_id


async def test_a_course_is_sold_paid_granted_and_told(shop: Shop, client: AsyncPaymentsClient) -> None:
    checkout = await client.create_checkout(organization_id="org_1", user_id="user_1", purchase=SQL, line_items=[ITEM])
    assert checkout.url.startswith(shop.running.sandbox_url)
    assert (checkout.order.payment_state, checkout.order.total) == (PaymentState.OPEN, Money("EUR", 4900))

    await pay(shop, checkout.order.checkout_session_id)
    told: list[Event] = []
    async for event in client.stream(start=Start.EARLIEST, filter=EventFilter(purchase_types=["course"])):
        told.append(event)
        if event.type is EventType.FULFILLED:
            break

    order = await client.get_order(checkout_session_id=checkout.order.checkout_session_id)
    assert [event.type for event in told] == [
        EventType.CHECKOUT_COMPLETED,
        EventType.PAYMENT_SUCCEEDED,
        EventType.FULFILLED,
    ]
    assert told[-1].order == order
    assert order.purchase == SQL
    assert (order.payment_state, order.fulfillment_state) == (PaymentState.PAID, FulfillmentState.FULFILLED)
    granted = [entitlement async for entitlement in client.list_entitlements(user_id="user_1", active_only=True)]
    assert [(entitlement.resource, entitlement.order_id) for entitlement in granted] == [
        ("courses/intro-to-sql", order.order_id)
    ]


async def test_a_service_does_its_own_part_and_reports_it(shop: Shop, client: AsyncPaymentsClient) -> None:
    order_id = await sell(client, shop, Custom("gift_card", "g1", {"design": "roses"}))
    wanted = EventFilter(types=[EventType.FULFILLMENT_REQUESTED])
    async with aclosing(client.stream(start=Start.EARLIEST, filter=wanted)) as events:
        asked = await anext(events)

    assert asked.fulfillment is not None
    order = await client.complete_fulfillment(
        asked.fulfillment.fulfillment_id, generation=asked.fulfillment.generation, result={"card": "GC-1"}
    )

    assert order.order_id == order_id
    assert order.fulfillments[0].result == {"card": "GC-1"}
    assert [each async for each in client.list_fulfillments(order_id)] == list(order.fulfillments)


async def test_the_service_s_refusals_come_as_their_classes(client: AsyncPaymentsClient) -> None:
    checkout = await client.create_checkout(organization_id="org_1", user_id="user_1", purchase=SQL, line_items=[ITEM])
    with pytest.raises(RequestIdReusedError) as reused:
        await client.create_checkout(
            organization_id="org_1",
            user_id="another",
            purchase=SQL,
            line_items=[ITEM],
            request_id=checkout.request_id,
        )
    with pytest.raises(InvalidRequestError) as invalid:
        await client.create_checkout(organization_id="", user_id="user_1", purchase=Course(""), line_items=[])
    expired = await client.expire_checkout(checkout.order.order_id)
    paid = await client.create_checkout(organization_id="org_1", user_id="u", purchase=SQL, line_items=[ITEM])

    assert reused.value.metadata["order_id"] == checkout.order.order_id
    assert {violation.field for violation in invalid.value.violations} >= {"organization_id", "line_items"}
    assert expired.payment_state is PaymentState.EXPIRED
    assert paid.order.payment_state is PaymentState.OPEN


async def test_a_paid_checkout_cannot_be_expired(shop: Shop, client: AsyncPaymentsClient) -> None:
    order_id = await sell(client, shop)
    with pytest.raises(CheckoutNotOpenError):
        await client.expire_checkout(order_id)


async def test_a_return_page_waits_for_what_was_paid(shop: Shop, client: AsyncPaymentsClient) -> None:
    checkout = await client.create_checkout(organization_id="org_1", user_id="user_1", purchase=SQL, line_items=[ITEM])
    session_id = checkout.order.checkout_session_id
    early = await client.wait_order(checkout_session_id=session_id, max_wait=0.3)
    waiting = asyncio.create_task(client.wait_order(checkout.order.order_id, max_wait=20))
    await pay(shop, session_id)
    ended = await waiting

    assert (early.settled, early.order.payment_state) == (False, PaymentState.OPEN)
    assert ended.settled
    assert ended.order.fulfillment_state is FulfillmentState.FULFILLED


async def test_money_is_given_back_in_parts_and_never_more_than_was_paid(
    shop: Shop, client: AsyncPaymentsClient
) -> None:
    order_id = await sell(client, shop)
    await client.wait_order(order_id)
    part = await client.refund_order(
        order_id, amount=Money("EUR", 900), reason=RefundReason.REQUESTED_BY_CUSTOMER, request_id=REQUEST
    )
    again = await client.refund_order(
        order_id, amount=Money("EUR", 900), reason=RefundReason.REQUESTED_BY_CUSTOMER, request_id=REQUEST
    )
    with pytest.raises(RefundExceedsPaymentError):
        await client.refund_order(order_id, amount=Money("EUR", 4001))
    rest = await client.refund_order(order_id)
    with pytest.raises(NothingToRefundError):
        await client.refund_order(order_id)

    assert (part.refund.amount, rest.refund.amount) == (Money("EUR", 900), Money("EUR", 4000))
    assert again.refund.refund_id == part.refund.refund_id
    with pytest.raises(NotASubscriptionError):
        await client.cancel_subscription(order_id, at_period_end=False)


async def test_a_subscription_is_sold_and_cancelled(shop: Shop, client: AsyncPaymentsClient) -> None:
    monthly = LineItem("SQL club", Money("EUR", 1500), recurrence=Recurrence(Interval.MONTH))
    checkout = await client.create_checkout(
        organization_id="org_1", user_id="user_1", purchase=SQL, line_items=[monthly]
    )
    await pay(shop, checkout.order.checkout_session_id)
    paid = (await client.wait_order(checkout.order.order_id)).order
    later = await client.cancel_subscription(paid.order_id, at_period_end=True)

    assert (paid.mode, paid.subscription_state) == (Mode.SUBSCRIPTION, SubscriptionState.ACTIVE)
    assert later.cancel_at_period_end
    assert later.current_period_end is not None


async def test_a_blocking_backend_does_all_the_same(shop: Shop) -> None:
    loop = asyncio.get_running_loop()

    def backend() -> tuple[list[EventType], list[str], str]:
        with PaymentsClient(shop.running.grpc_address) as client:
            checkout = client.create_checkout(
                organization_id="org_1", user_id="user_1", purchase=SQL, line_items=[ITEM]
            )
            paying = asyncio.run_coroutine_threadsafe(pay(shop, checkout.order.checkout_session_id), loop)
            paying.result(PATIENCE)
            types = []
            with client.stream(start=Start.EARLIEST) as events:
                for event in events:
                    types.append(event.type)
                    if event.type is EventType.FULFILLED:
                        break
            orders = [order.order_id for order in client.list_orders(user_id="user_1", page_size=1)]
            return types, orders, checkout.order.order_id

    types, orders, order_id = await asyncio.wait_for(asyncio.to_thread(backend), PATIENCE)

    assert types == [EventType.CHECKOUT_COMPLETED, EventType.PAYMENT_SUCCEEDED, EventType.FULFILLED]
    assert orders == [order_id]


async def test_over_a_line_that_breaks_at_any_byte_the_stream_is_the_log(
    shop: Shop, client: AsyncPaymentsClient
) -> None:
    for number in range(12):
        await sell(client, shop, user=f"user_{number}")
    log = [event.event_id async for event in _until_fulfilled(client, 12)]

    got: list[str] = []
    async with (
        open_proxy(shop.running.grpc_address, seed=11, most_bytes=12_000) as proxy,
        AsyncPaymentsClient(proxy.address) as unlucky,
        unlucky.stream(start=Start.EARLIEST, max_batch_size=2) as events,
    ):
        while len(got) < len(log):
            got.append((await anext(events)).event_id)

    assert got == log
    assert proxy.cuts >= 2


async def _until_fulfilled(client: AsyncPaymentsClient, orders: int) -> AsyncIterator[Event]:
    fulfilled = 0
    async for event in client.stream(start=Start.EARLIEST):
        yield event
        fulfilled += event.type is EventType.FULFILLED
        if fulfilled == orders:
            return
