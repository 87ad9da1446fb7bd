"""Lists come in pages that stay stable while rows are added, narrowed by what was asked for."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from payments_service.contract.pb.payments.v1 import operations_pb2 as ops
from payments_service.contract.pb.payments.v1 import payments_pb2 as pb
from payments_service.contract.pb.payments.v1.order_pb2 import (
    FULFILLMENT_STATE_FULFILLED,
    PAYMENT_STATE_OPEN,
    PAYMENT_STATE_PAID,
)
from payments_service.orders.states import FulfillmentState
from payments_service.storage.entitlement_rows import grant_entitlement
from payments_service.storage.fulfillment_rows import insert_fulfillment

from .rpc_service import OPERATOR, SERVICE, SHOP, RpcService, bearer, refusal

START = datetime(2026, 11, 1, tzinfo=UTC)
Page = tuple[list[str], str]


class OrderList:
    """ListOrders, and a way to add to it."""

    def __init__(self, service: RpcService) -> None:
        self.service = service

    async def add(self, time: datetime) -> str:
        """Add an order."""
        return (await self.service.order(create_time=time)).order_id

    async def page(self, size: int, token: str) -> Page:
        """Read a page."""
        request = pb.ListOrdersRequest(page_size=size, page_token=token)
        answer = await self.service.payments.ListOrders(request, metadata=bearer(SHOP))
        return [order.order_id for order in answer.orders], answer.next_page_token


class FulfillmentList:
    """ListFulfillments of one order."""

    def __init__(self, service: RpcService) -> None:
        self.service = service
        self.order_id = ""
        self.count = 0

    async def add(self, time: datetime) -> str:
        """Add a fulfillment."""
        self.order_id = self.order_id or (await self.service.order()).order_id
        self.count += 1
        values = {
            "fulfillment_id": f"ful_{self.count:04}",
            "order_id": self.order_id,
            "organization_id": "org_1",
            "purchase_type": "course",
            "source_id": f"in_{self.count}",
            "state": FulfillmentState.FULFILLED,
            "result": {},
            "amount_minor_units": 4900,
            "currency_code": "usd",
            "create_time": time,
            "update_time": time,
        }
        async with self.service.stages.database.transaction() as tx:
            await insert_fulfillment(tx, values)
        return str(values["fulfillment_id"])

    async def page(self, size: int, token: str) -> Page:
        """Read a page."""
        request = pb.ListFulfillmentsRequest(order_id=self.order_id, page_size=size, page_token=token)
        answer = await self.service.payments.ListFulfillments(request, metadata=bearer(SHOP))
        return [fulfillment.fulfillment_id for fulfillment in answer.fulfillments], answer.next_page_token


class EntitlementList:
    """ListEntitlements."""

    def __init__(self, service: RpcService) -> None:
        self.service = service
        self.count = 0

    async def add(self, time: datetime) -> str:
        """Grant something."""
        self.count += 1
        values = {
            "organization_id": "org_1",
            "user_id": "user_1",
            "resource": f"courses/{self.count}",
            "purchase_type": "course",
            "order_id": f"ord_{self.count:04}",
            "quantity": 1,
            "grant_time": time,
            "expire_time": None,
            "grace_days": 3,
            "access_end_time": None,
            "revoke_time": None,
        }
        async with self.service.stages.database.transaction() as tx:
            await grant_entitlement(tx, values)
        return str(values["resource"])

    async def page(self, size: int, token: str) -> Page:
        """Read a page."""
        request = pb.ListEntitlementsRequest(page_size=size, page_token=token)
        answer = await self.service.payments.ListEntitlements(request, metadata=bearer(SHOP))
        return [entitlement.resource for entitlement in answer.entitlements], answer.next_page_token


class InboxList:
    """ListStripeEvents."""

    def __init__(self, service: RpcService) -> None:
        self.service = service

    async def add(self, time: datetime) -> str:
        """Receive an event."""
        return await self.service.stages.store("customer.created", {"id": "cus_1"}, receive_time=time)

    async def page(self, size: int, token: str) -> Page:
        """Read a page."""
        request = ops.ListStripeEventsRequest(page_size=size, page_token=token)
        answer = await self.service.operations.ListStripeEvents(request, metadata=bearer(OPERATOR))
        return [event.stripe_event_id for event in answer.stripe_events], answer.next_page_token


LISTS = [OrderList, FulfillmentList, EntitlementList, InboxList]
AnyList = OrderList | FulfillmentList | EntitlementList | InboxList


async def read_all(
    page: Callable[[int, str], Awaitable[Page]], size: int, between: Callable[[], Awaitable[object]]
) -> list[str]:
    """Read page after page, and do something between them."""
    found, token = await page(size, "")
    while token:
        await between()
        more, token = await page(size, token)
        found += more
    return found


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("size", [1, 3, 7, 8])
async def test_pages_stay_stable_when_rows_are_added_between_them(
    service: RpcService, kind: type[AnyList], size: int
) -> None:
    paged = kind(service)
    # Three of them at the same instant: the id decides between these.
    before = [await paged.add(START + timedelta(seconds=number // 3)) for number in range(7)]

    found = await read_all(paged.page, size, lambda: paged.add(START + timedelta(hours=1)))

    assert sorted(found) == sorted(before)
    assert found[0] == before[-1]


@pytest.mark.parametrize("kind", LISTS)
async def test_a_list_is_newest_first(service: RpcService, kind: type[AnyList]) -> None:
    paged = kind(service)
    added = [await paged.add(START + timedelta(seconds=number)) for number in range(4)]

    found, token = await paged.page(0, "")

    assert (found, token) == (added[::-1], "")


async def test_orders_are_narrowed_by_each_filter(service: RpcService) -> None:
    opened = await service.order()
    paid = await service.paid_order()
    await service.stages.fulfill(paid.order_id)
    handed_over = await service.paid_order(purchase=SERVICE)

    async def found(**filters: object) -> set[str]:
        request = pb.ListOrdersRequest(**filters)  # type: ignore[arg-type]
        answer = await service.payments.ListOrders(request, metadata=bearer(SHOP))
        return {order.order_id for order in answer.orders}

    assert await found() == {opened.order_id, paid.order_id, handed_over.order_id}
    assert await found(payment_states=[PAYMENT_STATE_OPEN]) == {opened.order_id}
    assert await found(payment_states=[PAYMENT_STATE_PAID]) == {paid.order_id, handed_over.order_id}
    assert await found(fulfillment_states=[FULFILLMENT_STATE_FULFILLED]) == {paid.order_id}
    assert await found(purchase_type="service") == {handed_over.order_id}
    assert await found(organization_id="org_1", user_id="user_2") == set()


async def test_a_listed_order_holds_its_fulfillments(service: RpcService) -> None:
    paid = await service.paid_order()
    fulfillment = await service.stages.fulfill(paid.order_id)

    answer = await service.payments.ListOrders(pb.ListOrdersRequest(), metadata=bearer(SHOP))

    assert [held.fulfillment_id for held in answer.orders[0].fulfillments] == [fulfillment.fulfillment_id]


async def test_entitlements_are_narrowed_by_holder_and_resource(service: RpcService) -> None:
    paid = await service.paid_order()
    await service.stages.fulfill(paid.order_id)

    async def found(**filters: object) -> list[str]:
        request = pb.ListEntitlementsRequest(**filters)  # type: ignore[arg-type]
        answer = await service.payments.ListEntitlements(request, metadata=bearer(SHOP))
        return [entitlement.order_id for entitlement in answer.entitlements if entitlement.active]

    assert await found(organization_id="org_1", user_id="user_1", active_only=True) == [paid.order_id]
    assert await found(resource="courses/intro-to-sql") == [paid.order_id]
    assert await found(resource="courses/other") == []
    assert await found(user_id="user_2") == []


async def test_a_token_of_other_filters_is_refused(service: RpcService) -> None:
    orders = OrderList(service)
    for _ in range(2):
        await orders.add(START)
    _, token = await orders.page(1, "")
    request = pb.ListOrdersRequest(user_id="user_1", page_token=token)

    answer = await refusal(service.payments.ListOrders(request, metadata=bearer(SHOP)))

    assert (answer.reason, answer.fields) == ("INVALID_REQUEST", ("page_token",))
