"""A Stripe that fails makes never two sessions and never two refunds of one request, and is never misreported."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import aiohttp
import grpc
import pytest
import pytest_asyncio
from acceptance.shop import checkout_request
from broker_servers.valkey import Valkey
from database_servers.postgres_server import PostgresServer
from google.rpc.error_details_pb2 import ErrorInfo  # type: ignore[import-untyped]
from grpc_status.rpc_status import from_call

from payments_service.contract.pb.payments.v1.payments_pb2 import RefundOrderRequest
from payments_service.contract.pb.payments.v1.payments_pb2_grpc import PaymentsStub

from .checker.judge import HEADERS
from .conftest import LONG
from .scene import Scene, open_scene

if TYPE_CHECKING:  # the stubs' types know what the stubs themselves do not name
    from payments_service.contract.pb.payments.v1.payments_pb2_grpc import PaymentsAsyncStub

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.faults,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("stripe"),
]
PATIENCE = 20.0
IMPATIENCE = 3.0
"""How long a caller waits for a Stripe that never answers."""
NO_ANSWER = "no answer in time"
PERHAPS_DONE = {"STRIPE_OUTCOME_UNKNOWN", NO_ANSWER}
"""A busy machine may not even say that it does not know before the caller's patience is over."""
Call = Callable[[float], Awaitable[Any]]
Fault = Callable[[Scene], AbstractAsyncContextManager[None]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Give the service with a proxy before Stripe."""
    folder = tmp_path_factory.mktemp("installation")
    async with open_scene(server, folder, Valkey(), "serve", "bridge", "worker", linked=("stripe",)) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def payments(shop: Scene) -> AsyncIterator["PaymentsAsyncStub"]:
    async with grpc.aio.insecure_channel(shop.installation.target) as channel:
        yield PaymentsStub(channel)


@asynccontextmanager
async def limiting(shop: Scene) -> AsyncIterator[None]:
    async with shop.installation.faults(api={"status": 429}):
        yield


@asynccontextmanager
async def failing_before(shop: Scene) -> AsyncIterator[None]:
    async with shop.installation.faults(api={"status": 500, "when": "before"}):
        yield


@asynccontextmanager
async def failing_after(shop: Scene) -> AsyncIterator[None]:
    async with shop.installation.faults(api={"status": 500, "when": "after"}):
        yield


@asynccontextmanager
async def silent(shop: Scene) -> AsyncIterator[None]:
    """Do what is asked, and never say so."""
    async with shop.installation.faults(api={"latency_seconds": 30.0, "when": "after"}):
        yield


@asynccontextmanager
async def deaf(shop: Scene) -> AsyncIterator[None]:
    shop.links["stripe"].black_hole()
    try:
        yield
    finally:
        shop.links["stripe"].reset()
        shop.links["stripe"].heal()


@asynccontextmanager
async def cut_at(shop: Scene, size: int) -> AsyncIterator[None]:
    shop.links["stripe"].reset()
    shop.links["stripe"].cut_replies_at = size
    try:
        yield
    finally:
        shop.links["stripe"].heal()


def resetting(shop: Scene) -> AbstractAsyncContextManager[None]:
    return cut_at(shop, 0)


def truncating(shop: Scene) -> AbstractAsyncContextManager[None]:
    """Send the head of the reply and the beginning of its body."""
    return cut_at(shop, 700)


@asynccontextmanager
async def refusing(shop: Scene) -> AsyncIterator[None]:
    await shop.links["stripe"].refuse()
    try:
        yield
    finally:
        await shop.links["stripe"].open()


FAULTS = [
    (limiting, {"STRIPE_RATE_LIMITED"}),
    (refusing, {"STRIPE_UNAVAILABLE"}),
    (failing_before, PERHAPS_DONE),
    (failing_after, PERHAPS_DONE),
    (silent, PERHAPS_DONE),
    (deaf, PERHAPS_DONE),
    (resetting, PERHAPS_DONE),
    (truncating, PERHAPS_DONE),
]
QUICK = [limiting, refusing, failing_before, failing_after, truncating]


@pytest.mark.parametrize(("fault", "reasons"), FAULTS if LONG else [each for each in FAULTS if each[0] in QUICK])
async def test_a_checkout_that_fails_is_told_rightly_and_is_one_session_when_it_is_repeated(
    shop: Scene,
    payments: "PaymentsAsyncStub",
    fault: Fault,
    reasons: set[str],
) -> None:
    request = checkout_request(request_id=str(uuid4()))
    async with fault(shop):
        told = await refusal(lambda seconds: payments.CreateCheckout(request, timeout=seconds))
    order = (await payments.CreateCheckout(request, timeout=PATIENCE)).order
    sessions = await listed(shop, "checkout/sessions")

    assert told in reasons
    assert order.checkout_url
    assert [one["id"] for one in sessions if one["client_reference_id"] == order.order_id] == [
        order.checkout_session_id
    ]


@pytest.mark.parametrize(("fault", "reasons"), FAULTS if LONG else FAULTS[3:5])
async def test_a_refund_that_fails_is_told_rightly_and_is_one_refund_when_it_is_repeated(
    shop: Scene,
    payments: "PaymentsAsyncStub",
    fault: Fault,
    reasons: set[str],
) -> None:
    order_id = await shop.shoppers.sell()
    await shop.shoppers.settled()
    request = RefundOrderRequest(request_id=str(uuid4()), order_id=order_id)
    # Nobody hears of it by a webhook, or by Stripe's list.
    shop.installation.members["worker"].freeze()
    try:
        async with fault(shop):
            told = await refusal(lambda seconds: payments.RefundOrder(request, timeout=seconds))
        reply = await payments.RefundOrder(request, timeout=PATIENCE)
    finally:
        shop.installation.members["worker"].thaw()
    refunds = await listed(shop, "refunds")

    assert told in reasons
    assert [one["amount"] for one in refunds if one["metadata"]["order_id"] == order_id] == [4900]
    assert reply.refund.amount.minor_units == 4900


async def test_a_stripe_that_fails_by_chance_makes_one_session_of_each_request(shop: Scene) -> None:
    for fault in ({"status": 500, "when": "after"}, {"status": 500, "when": "before"}, {"status": 429}):
        async with shop.installation.faults(api={**fault, "probability": 0.4}):
            await shop.shoppers.sell_many(5)

    await shop.shoppers.all_is_well()


async def refusal(call: Call) -> str:
    """Call as a caller with little patience, and give the reason of what comes."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call(IMPATIENCE)
    if refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return NO_ANSWER
    status = from_call(cast("Any", refused.value))
    assert status is not None, refused.value
    info = ErrorInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    return str(info.reason)


async def listed(shop: Scene, what: str) -> list[dict[str, Any]]:
    """List what there is at Stripe."""
    url = f"{shop.installation.sandbox_url}/v1/{what}?limit=100"
    async with aiohttp.ClientSession(headers=HEADERS) as http, http.get(url) as reply:
        found: list[dict[str, Any]] = (await reply.json())["data"]
        return found
