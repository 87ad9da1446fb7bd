"""Another organization's order does not exist, by whichever RPC it is asked for; to name it at all is refused."""

from collections.abc import AsyncIterable, Awaitable, Callable
from uuid import uuid4

import grpc
import pytest

from payments_service.contract.pb.payments.v1 import operations_pb2 as ops
from payments_service.contract.pb.payments.v1 import payments_pb2 as pb
from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentFilter, StartPosition
from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import StreamFulfillmentsRequest
from payments_service.rpc.grpc_server import OPERATIONS, PAYMENTS
from payments_service.storage.order_rows import OrderRow

from .rpc_service import (
    COURSE,
    COURSES,
    OTHER,
    SERVICE,
    SHOP,
    Entry,
    RpcService,
    bearer,
    callers_toml,
    checkout,
    refusal,
)

Ask = Callable[[RpcService, OrderRow, str, tuple[tuple[str, str], ...]], Awaitable[object]]
TYPED_OPERATOR = Entry("typed", "operator", ["*"], ["course"])


async def first_state(responses: AsyncIterable[pb.WaitOrderResponse]) -> object:
    """Read a stream's first response."""
    async for response in responses:
        return response
    return None


ASKED_BY_ID: dict[str, Ask] = {
    "ExpireCheckout": lambda service, order, _, who: service.payments.ExpireCheckout(
        pb.ExpireCheckoutRequest(order_id=order.order_id), metadata=who
    ),
    "GetOrder": lambda service, order, _, who: service.payments.GetOrder(
        pb.GetOrderRequest(order_id=order.order_id), metadata=who
    ),
    "GetOrder by session": lambda service, order, _, who: service.payments.GetOrder(
        pb.GetOrderRequest(checkout_session_id=order.checkout_session_id or ""), metadata=who
    ),
    "GetOrder refreshed": lambda service, order, _, who: service.payments.GetOrder(
        pb.GetOrderRequest(order_id=order.order_id, refresh=True), metadata=who
    ),
    "WaitOrder": lambda service, order, _, who: first_state(
        service.payments.WaitOrder(pb.WaitOrderRequest(order_id=order.order_id), metadata=who)
    ),
    "RefundOrder": lambda service, order, _, who: service.payments.RefundOrder(
        pb.RefundOrderRequest(request_id=str(uuid4()), order_id=order.order_id), metadata=who
    ),
    "CancelSubscription": lambda service, order, _, who: service.payments.CancelSubscription(
        pb.CancelSubscriptionRequest(request_id=str(uuid4()), order_id=order.order_id), metadata=who
    ),
    "ListFulfillments": lambda service, order, _, who: service.payments.ListFulfillments(
        pb.ListFulfillmentsRequest(order_id=order.order_id), metadata=who
    ),
    "CompleteFulfillment": lambda service, _, fulfillment_id, who: service.payments.CompleteFulfillment(
        pb.CompleteFulfillmentRequest(fulfillment_id=fulfillment_id), metadata=who
    ),
    "FailFulfillment": lambda service, _, fulfillment_id, who: service.payments.FailFulfillment(
        pb.FailFulfillmentRequest(fulfillment_id=fulfillment_id, error="sold out"), metadata=who
    ),
}
OPERATED_BY_ID: dict[str, Ask] = {
    "ExplainOrder": lambda service, order, _, who: service.operations.ExplainOrder(
        ops.ExplainOrderRequest(order_id=order.order_id), metadata=who
    ),
    "RetryFulfillment": lambda service, _, fulfillment_id, who: service.operations.RetryFulfillment(
        ops.RetryFulfillmentRequest(fulfillment_id=fulfillment_id), metadata=who
    ),
}


async def handed_over(service: RpcService) -> tuple[OrderRow, str]:
    """Make an order of a service, paid and waiting for its owner."""
    order = await service.paid_order(purchase=SERVICE)
    fulfillment = await service.stages.fulfill(order.order_id)
    return order, fulfillment.fulfillment_id


def test_every_rpc_that_takes_an_id_is_asked_below() -> None:
    by_id = {
        method.name
        for service in (PAYMENTS, OPERATIONS)
        for method in service.methods
        if {"order_id", "fulfillment_id", "checkout_session_id"} & {field.name for field in method.input_type.fields}
    }

    # ListStripeEvents narrows by an order; it needs all organizations and all types.
    assert by_id - {"ListStripeEvents"} == {name.split()[0] for name in ASKED_BY_ID | OPERATED_BY_ID}


@pytest.mark.parametrize("stranger", [OTHER, COURSES], ids=["another organization's", "another type's"])
@pytest.mark.parametrize("name", ASKED_BY_ID)
async def test_a_strangers_order_is_not_found(service: RpcService, name: str, stranger: Entry) -> None:
    order, fulfillment_id = await handed_over(service)
    before = await service.stages.order_now(order.order_id)

    answer = await refusal(ASKED_BY_ID[name](service, order, fulfillment_id, bearer(stranger)))

    assert answer.code is grpc.StatusCode.NOT_FOUND
    assert answer.reason in {"ORDER_NOT_FOUND", "FULFILLMENT_NOT_FOUND"}
    assert set(answer.metadata.values()) <= {order.order_id, order.checkout_session_id, fulfillment_id}
    assert await service.stages.order_now(order.order_id) == before


@pytest.mark.parametrize("name", OPERATED_BY_ID)
async def test_an_operator_of_some_types_does_not_find_the_others(service: RpcService, name: str) -> None:
    service.take_up(callers_toml(TYPED_OPERATOR))
    order, fulfillment_id = await handed_over(service)

    answer = await refusal(OPERATED_BY_ID[name](service, order, fulfillment_id, bearer(TYPED_OPERATOR)))

    assert answer.code is grpc.StatusCode.NOT_FOUND


async def test_a_strangers_order_and_none_at_all_look_alike(service: RpcService) -> None:
    order = await service.order()
    request = pb.GetOrderRequest(order_id=order.order_id)

    strangers = await refusal(service.payments.GetOrder(request, metadata=bearer(OTHER)))
    nobodys = await refusal(service.payments.GetOrder(pb.GetOrderRequest(order_id="ord_x"), metadata=bearer(OTHER)))

    assert strangers.message.replace(order.order_id, "ord_x") == nobodys.message
    assert (strangers.code, strangers.reason) == (nobodys.code, nobodys.reason)


async def test_lists_hold_the_callers_own_alone(service: RpcService) -> None:
    orders = {
        organization_id: [await service.paid_order(organization_id, purchase) for purchase in (SERVICE, COURSE)]
        for organization_id in ("org_1", "org_2")
    }
    for order in (order for pair in orders.values() for order in pair):
        await service.stages.fulfill(order.order_id)

    listed = {
        who.name: await service.payments.ListOrders(pb.ListOrdersRequest(), metadata=bearer(who))
        for who in (SHOP, COURSES, OTHER)
    }
    held = await service.payments.ListEntitlements(pb.ListEntitlementsRequest(), metadata=bearer(OTHER))

    ids = {name: {order.order_id for order in answer.orders} for name, answer in listed.items()}
    assert ids["shop"] == {order.order_id for order in orders["org_1"]}
    assert ids["courses"] == {orders["org_1"][1].order_id}
    assert ids["other"] == {order.order_id for order in orders["org_2"]}
    assert [entitlement.order_id for entitlement in held.entitlements] == [orders["org_2"][1].order_id]


async def test_a_stream_holds_the_callers_own_alone(service: RpcService) -> None:
    order = await service.paid_order("org_2", COURSE)
    for organization_id, purchase in [("org_1", COURSE), ("org_2", SERVICE)]:
        await service.paid_order(organization_id, purchase)
    service.take_up(callers_toml(OTHER._replace(purchase_types=["course"])))
    await service.log()

    request = StreamFulfillmentsRequest(start=StartPosition(earliest=True))
    seen: set[str] = set()
    async for response in service.payments.StreamFulfillments(request, metadata=bearer(OTHER)):
        seen |= {event.order_id for event in response.events}
        if response.HasField("caught_up"):
            break

    assert seen == {order.order_id}


def foreign_calls(service: RpcService) -> dict[str, Awaitable[object]]:
    who = bearer(COURSES)
    start = StartPosition(earliest=True)

    def stream(**names: list[str]) -> Awaitable[object]:
        request = StreamFulfillmentsRequest(start=start, filter=FulfillmentFilter(**names))  # type: ignore[arg-type]
        return service.payments.StreamFulfillments(request, metadata=who).read()

    payments = service.payments
    return {
        "organization": payments.CreateCheckout(checkout(organization_id="org_2"), metadata=who),
        "purchase type": payments.CreateCheckout(checkout(purchase=SERVICE), metadata=who),
        "listed organization": payments.ListOrders(pb.ListOrdersRequest(organization_id="org_2"), metadata=who),
        "listed purchase type": payments.ListOrders(pb.ListOrdersRequest(purchase_type="service"), metadata=who),
        "entitled organization": payments.ListEntitlements(
            pb.ListEntitlementsRequest(organization_id="org_2"), metadata=who
        ),
        "streamed organization": stream(organization_ids=["org_1", "org_2"]),
        "streamed purchase type": stream(purchase_types=["service"]),
    }


async def test_to_name_what_is_not_ones_own_is_not_allowed(service: RpcService) -> None:
    for name, call in foreign_calls(service).items():
        answer = await refusal(call)

        assert (answer.code, answer.reason) == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED"), name
        assert answer.metadata["method"].startswith("payments.v1.Payments/"), name
        assert "org_2" in answer.metadata["missing"] or "service" in answer.metadata["missing"], name
    assert await service.stages.log() == []


async def test_the_owner_completes_what_was_handed_to_it(service: RpcService) -> None:
    order, fulfillment_id = await handed_over(service)

    answer = await service.payments.CompleteFulfillment(
        pb.CompleteFulfillmentRequest(fulfillment_id=fulfillment_id, result={"booking": "b-1"}), metadata=bearer(SHOP)
    )

    assert answer.order.order_id == order.order_id
    assert dict(answer.order.fulfillments[0].result) == {"booking": "b-1"}
