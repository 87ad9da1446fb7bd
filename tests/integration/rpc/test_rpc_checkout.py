"""A purchase over the wire: made by the sandbox for Stripe, paid, fulfilled, and followed by a stream."""

import base64
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import aiohttp
import grpc
import pytest
from structlog.testing import capture_logs

from payments_service.contract.pb.payments.v1 import payments_pb2 as pb
from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent, StartPosition
from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import (
    StreamFulfillmentsRequest,
    StreamFulfillmentsResponse,
)
from payments_service.contract.pb.payments.v1.order_pb2 import (
    PAYMENT_STATE_EXPIRED,
    PAYMENT_STATE_OPEN,
    PAYMENT_STATE_PAID,
)
from payments_service.contract.pb.payments.v1.payments_pb2_grpc import PaymentsStub
from payments_service.rpc.grpc_server import ServerConfig, open_server
from payments_service.storage.log_rows import OutboxEvent, append_events
from stripe_sandbox.sandbox_server import Sandbox

from .rpc_service import SHOP, RpcService, bearer, callers_toml, checkout, refusal, until

AS_SHOP = bearer(SHOP)
ORGANIZATION = '\n[[organizations]]\nid = "org_1"\nstripe_account = "acct_7"\n'


async def control(sandbox: Sandbox, method: str, path: str, body: object = None) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, f"{sandbox.url}/_sandbox/{path}", json=body) as answer,
    ):
        assert answer.status == 200, await answer.text()


async def test_a_checkout_is_made_once_and_found_by_both_ids(selling: RpcService) -> None:
    request = checkout()

    made = await selling.payments.CreateCheckout(request, metadata=AS_SHOP)
    again = await selling.payments.CreateCheckout(request, metadata=AS_SHOP)
    by_id = await selling.payments.GetOrder(pb.GetOrderRequest(order_id=made.order.order_id), metadata=AS_SHOP)
    by_session = await selling.payments.GetOrder(
        pb.GetOrderRequest(checkout_session_id=made.order.checkout_session_id), metadata=AS_SHOP
    )

    assert made.order.payment_state == PAYMENT_STATE_OPEN
    assert made.checkout_url == made.order.checkout_url != ""
    assert made.order.created_by == "shop"
    assert made == again
    assert by_id.order == by_session.order == made.order


async def test_the_same_request_id_with_another_body_already_exists(selling: RpcService) -> None:
    request = checkout()
    made = await selling.payments.CreateCheckout(request, metadata=AS_SHOP)
    request.user_id = "user_2"

    answer = await refusal(selling.payments.CreateCheckout(request, metadata=AS_SHOP))

    assert (answer.code, answer.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    assert answer.metadata == {"order_id": made.order.order_id}


async def test_every_wrong_field_of_a_checkout_is_named_at_once(selling: RpcService) -> None:
    answer = await refusal(selling.payments.CreateCheckout(pb.CreateCheckoutRequest(), metadata=AS_SHOP))

    assert (answer.code, answer.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert set(answer.fields) == {"request_id", "organization_id", "user_id", "purchase", "line_items"}


async def test_an_organization_with_an_account_of_its_own_sells_by_it(selling: RpcService) -> None:
    selling.take_up(callers_toml(SHOP) + ORGANIZATION)

    made = await selling.payments.CreateCheckout(checkout(), metadata=AS_SHOP)

    assert made.order.stripe_account == "acct_7"


async def test_a_checkout_is_expired_once_and_a_paid_one_is_not(selling: RpcService, sandbox: Sandbox) -> None:
    opened, paid = [(await selling.payments.CreateCheckout(checkout(), metadata=AS_SHOP)).order for _ in range(2)]
    await control(sandbox, "POST", f"sessions/{paid.checkout_session_id}/pay")

    to_expire, too_late = (pb.ExpireCheckoutRequest(order_id=order.order_id) for order in (opened, paid))
    expired = await selling.payments.ExpireCheckout(to_expire, metadata=AS_SHOP)
    answer = await refusal(selling.payments.ExpireCheckout(too_late, metadata=AS_SHOP))

    assert expired.order.payment_state == PAYMENT_STATE_EXPIRED
    assert (answer.code, answer.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CHECKOUT_NOT_OPEN")
    assert answer.metadata == {"state": "PAID"}


async def test_to_refresh_asks_stripe_and_the_stream_tells_what_it_said(selling: RpcService, sandbox: Sandbox) -> None:
    made = (await selling.payments.CreateCheckout(checkout(), metadata=AS_SHOP)).order
    await control(sandbox, "POST", f"sessions/{made.checkout_session_id}/pay")

    request = pb.GetOrderRequest(order_id=made.order_id, refresh=True)
    paid = (await selling.payments.GetOrder(request, metadata=AS_SHOP)).order
    await selling.stages.fulfill(made.order_id)
    await selling.log()

    assert paid.payment_state == PAYMENT_STATE_PAID
    told = [FulfillmentEvent.Type.Name(event.type) async for event in events_of(selling)]
    assert told == ["TYPE_CHECKOUT_COMPLETED", "TYPE_PAYMENT_SUCCEEDED", "TYPE_FULFILLED"]


async def events_of(service: RpcService) -> AsyncIterator[FulfillmentEvent]:
    request = StreamFulfillmentsRequest(start=StartPosition(earliest=True))
    async for response in service.payments.StreamFulfillments(request, metadata=AS_SHOP):
        for event in response.events:
            assert event.cursor
            yield event
        if response.HasField("caught_up"):
            break


@pytest.mark.parametrize(
    ("faults", "code", "reason"),
    [
        ({"status": 429, "when": "before", "probability": 1.0}, "RESOURCE_EXHAUSTED", "STRIPE_RATE_LIMITED"),
        ({"status": 500, "when": "before", "probability": 1.0}, "UNAVAILABLE", "STRIPE_OUTCOME_UNKNOWN"),
    ],
)
async def test_what_stripe_leaves_undone_is_told_apart(
    selling: RpcService, sandbox: Sandbox, faults: dict[str, object], code: str, reason: str
) -> None:
    await control(sandbox, "PUT", "faults", {"api": faults})

    answer = await refusal(selling.payments.CreateCheckout(checkout(), metadata=AS_SHOP))

    assert (answer.code.name, answer.reason) == (code, reason)
    assert answer.retry_seconds is not None


async def test_the_callers_deadline_is_kept_and_stripe_not_asked_when_it_is_too_short(service: RpcService) -> None:
    answer = await refusal(service.payments.CreateCheckout(checkout(), metadata=AS_SHOP, timeout=0.49))

    assert (answer.code, answer.reason) == (grpc.StatusCode.UNAVAILABLE, "STRIPE_UNAVAILABLE")
    assert "Too little of the call's deadline is left" in answer.message


async def test_a_start_that_was_forgotten_is_refused(service: RpcService) -> None:
    stream = service.payments.StreamFulfillments(StreamFulfillmentsRequest(), metadata=AS_SHOP)

    answer = await refusal(stream.read())

    assert (answer.code, answer.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "START_REQUIRED")


async def is_cut_off(logs: list[MutableMapping[str, Any]]) -> bool:
    return any(line.get("reason") == "SLOW_CONSUMER" for line in logs)


async def test_a_client_that_does_not_read_is_cut_off_with_its_cursor(service: RpcService) -> None:
    body = FulfillmentEvent(event_id="fev", order_id="o" * 500_000, organization_id="org_1").SerializeToString()
    events = [
        OutboxEvent(f"fev_{number}", "org_1", "ord_1", number, "course", 1, body, service.stages.now())
        for number in range(60)
    ]
    async with service.stages.database.transaction() as tx:
        await append_events(tx, events)
    await service.log()
    read: list[StreamFulfillmentsResponse] = []

    async with (
        open_server(ServerConfig("127.0.0.1:0", write_seconds=0.3), service.parts) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        request = StreamFulfillmentsRequest(start=StartPosition(earliest=True))
        with capture_logs() as logs:
            stream = PaymentsStub(channel).StreamFulfillments(request, metadata=AS_SHOP)
            await until(lambda: is_cut_off(logs))

        async def read_on() -> None:
            async for response in stream:
                read.append(response)  # noqa: PERF401, RUF100  # what came before the end counts

        answer = await refusal(read_on())

    assert (answer.code, answer.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "SLOW_CONSUMER")
    assert base64.b64decode(answer.metadata["cursor"]) in [response.cursor for response in read]
