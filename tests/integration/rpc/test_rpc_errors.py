"""What goes wrong reaches the caller as a status, a reason and what to do, and the log as one line a call."""

import asyncio
from collections.abc import Iterator, MutableMapping
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from payments_service.contract.pb.payments.v1 import operations_pb2 as ops
from payments_service.contract.pb.payments.v1 import payments_pb2 as pb
from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import StartPosition
from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import StreamFulfillmentsRequest
from payments_service.contract.pb.payments.v1.purchase_pb2 import LineItem
from payments_service.storage.order_rows import update_order

from .rpc_service import OPERATOR, SHOP, RpcService, bearer, checkout, refusal

Logs = list[MutableMapping[str, Any]]
SECRET = b"\xff the inner text"


@pytest.fixture
def logs() -> Iterator[Logs]:
    with capture_logs() as captured:
        yield captured


def raw_call(service: RpcService, method: str, data: bytes = b"", who: str = "operator") -> Any:  # noqa: ANN401
    """Call a method with bytes of one's own choice; all kinds of methods take one request and give one answer here."""
    call: Any = service.channel.unary_unary(f"/{method}", request_serializer=None, response_deserializer=None)
    return call(data, metadata=bearer(who))


async def the_line(logs: Logs) -> MutableMapping[str, Any]:
    """Give the line of the one call that was made; it is written when the answer is on its way."""
    async with asyncio.timeout(5):
        while not (lines := [line for line in logs if line["event"] == "rpc.answered"]):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    (line,) = lines
    return line


async def test_an_inner_failure_shows_an_id_and_no_inner_text(service: RpcService, logs: Logs) -> None:
    order = await service.order()
    async with service.stages.database.transaction() as tx:
        await update_order(tx, order.order_id, {"purchase": SECRET})
    request = pb.GetOrderRequest(order_id=order.order_id)

    answer = await refusal(service.payments.GetOrder(request, metadata=bearer(SHOP)))

    assert (answer.code, answer.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert set(answer.metadata) == {"error_id"}
    assert answer.message == f"The service failed; its log has the details under {answer.metadata['error_id']}."
    line = await the_line(logs)
    assert (line["log_level"], line["error_id"]) == ("error", answer.metadata["error_id"])
    assert "DecodeError" in repr(line["exc_info"])


async def test_bytes_that_are_no_request_are_an_invalid_request(service: RpcService) -> None:
    answer = await refusal(raw_call(service, "payments.v1.Payments/ListOrders", b"\xff\xff\xff"))

    assert (answer.code, answer.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert "payments.v1.ListOrdersRequest" in answer.message


async def test_an_unknown_method_is_unimplemented(service: RpcService) -> None:
    for method in ("payments.v1.Payments/getorder", "payments.v1.Payments/GetOrder/", "payments.v1.Other/GetOrder"):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await raw_call(service, method)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_thousand_wrong_fields_still_reach_the_caller(service: RpcService) -> None:
    request = checkout(line_items=[LineItem(quantity=-1, price_id="\u00e9") for _ in range(1_000)])

    answer = await refusal(service.payments.CreateCheckout(request, metadata=bearer(SHOP)))

    assert answer.reason == "INVALID_REQUEST"
    assert len(answer.fields) > 10


async def test_a_request_over_the_limit_is_refused(service: RpcService) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await raw_call(service, "payments.v1.Payments/ListOrders", bytes(5 * 1024 * 1024))

    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_stripe_out_of_reach_is_unavailable_and_says_when_to_come_back(service: RpcService) -> None:
    answer = await refusal(service.payments.CreateCheckout(checkout(), metadata=bearer(SHOP)))

    assert (answer.code, answer.reason) == (grpc.StatusCode.UNAVAILABLE, "STRIPE_UNAVAILABLE")
    assert answer.retry_seconds is not None


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.GetOrderRequest(), "order_id"),
        (pb.GetOrderRequest(checkout_session_id=""), "checkout_session_id"),
        (pb.ExpireCheckoutRequest(), "order_id"),
        (pb.ListFulfillmentsRequest(order_id=" "), "order_id"),
        (pb.CompleteFulfillmentRequest(), "fulfillment_id"),
        (pb.FailFulfillmentRequest(error="x"), "fulfillment_id"),
        (ops.GetStripeEventRequest(), "stripe_event_id"),
        (ops.RetryFulfillmentRequest(), "fulfillment_id"),
        (ops.ExplainOrderRequest(), "order_id"),
        (pb.ListOrdersRequest(payment_states=[0]), "payment_states"),  # type: ignore[list-item]
        (pb.ListOrdersRequest(payment_states=[99]), "payment_states[0]"),  # type: ignore[list-item]
        (pb.ListOrdersRequest(page_size=-1), "page_size"),
        (pb.ListOrdersRequest(page_token="x"), "page_token"),
        (pb.ListEntitlementsRequest(page_token="x"), "page_token"),
        (ops.ListStripeEventsRequest(states=[0]), "states"),  # type: ignore[list-item]
        (ops.ListStripeEventsRequest(page_size=-1), "page_size"),
        (ops.ReplayStripeEventsRequest(), "stripe_event_ids"),
        (ops.ReplayStripeEventsRequest(states=[0]), "states"),  # type: ignore[list-item]
        (ops.ReplayStripeEventsRequest(stripe_event_ids=["evt_1"] * 501), "stripe_event_ids"),
    ],
)
async def test_a_wrong_field_is_named(service: RpcService, request_: Any, field: str) -> None:  # noqa: ANN401
    name = type(request_).__name__.removesuffix("Request")
    stub = service.payments if hasattr(service.payments, name) else service.operations

    answer = await refusal(getattr(stub, name)(request_, metadata=bearer(OPERATOR)))

    assert (answer.code, answer.reason, answer.fields) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_REQUEST",
        (field,),
    )


async def test_a_call_is_one_line_of_the_log(service: RpcService, logs: Logs) -> None:
    order = await service.order()

    await service.payments.GetOrder(pb.GetOrderRequest(order_id=order.order_id), metadata=bearer(SHOP))

    line = await the_line(logs)
    assert line.pop("milliseconds") > 0
    assert line == {
        "event": "rpc.answered",
        "log_level": "info",
        "method": "payments.v1.Payments/GetOrder",
        "caller": "shop",
        "code": "OK",
        "order_id": order.order_id,
    }


async def test_a_refusal_is_one_line_and_no_error(service: RpcService, logs: Logs) -> None:
    await refusal(service.payments.GetOrder(pb.GetOrderRequest(order_id="ord_x"), metadata=bearer(SHOP)))

    line = await the_line(logs)
    assert (line["log_level"], line["code"], line["reason"]) == ("info", "NOT_FOUND", "ORDER_NOT_FOUND")
    assert line["order_id"] == "ord_x"


async def test_an_unknown_caller_is_one_line_without_its_token(service: RpcService, logs: Logs) -> None:
    await refusal(service.payments.ListOrders(pb.ListOrdersRequest(), metadata=bearer("my-token")))

    line = await the_line(logs)
    assert (line["caller"], line["reason"]) == ("", "UNAUTHENTICATED")
    assert "my-token" not in repr(logs)


async def test_a_call_that_its_caller_gives_up_is_cancelled(service: RpcService, logs: Logs) -> None:
    request = StreamFulfillmentsRequest(start=StartPosition(earliest=True))
    stream = service.payments.StreamFulfillments(request, metadata=bearer(SHOP))
    await stream.read()

    stream.cancel()

    line = await the_line(logs)
    assert (line["method"], line["code"]) == ("payments.v1.Payments/StreamFulfillments", "CANCELLED")
