"""Calls that are answered once: repeated while the service is away, as the same purchase, never without an end."""

import asyncio
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
import pytest
from payments_client import (
    AsyncPaymentsClient,
    Course,
    DeadlineExceededError,
    LineItem,
    Money,
    PaymentsClient,
    StorageUnavailableError,
    StripeOutcomeUnknownError,
    StripeRateLimitedError,
    UnavailableError,
)
from payments_client.connection import make_connection
from payments_client.pb.payments.v1 import payments_pb2 as pb
from payments_client.pb.payments.v1.order_pb2 import Order

from .contract_server import Context, Serving, refuse, serving

Code = grpc.StatusCode
ITEM = LineItem("Intro to SQL", Money("EUR", 4900))
WANTED: dict[str, Any] = {
    "organization_id": "org_1",
    "user_id": "user_1",
    "purchase": Course("sql"),
    "line_items": [ITEM],
}


class Desk:
    """Serves CreateCheckout and GetOrder, after so many refusals; remembers what it was sent."""

    def __init__(
        self, refusals: int = 0, reason: str = "", seconds: float | None = None, code: Code = Code.UNAVAILABLE
    ) -> None:
        self.left = refusals
        self.refusal = (code, reason)
        self.seconds = seconds
        self.requests: list[pb.CreateCheckoutRequest] = []
        self.times: list[float] = []
        self.metadata: list[dict[str, str | bytes]] = []
        self.remaining: list[float | None] = []

    async def create(self, request: pb.CreateCheckoutRequest, context: Context) -> pb.CreateCheckoutResponse:
        """Create a checkout."""
        self.requests.append(request)
        await self._note(context)
        return pb.CreateCheckoutResponse(order=Order(order_id="ord_1"), checkout_url="https://pay.example/1")

    async def get(self, _: pb.GetOrderRequest, context: Context) -> pb.GetOrderResponse:
        """Give an order."""
        await self._note(context)
        return pb.GetOrderResponse(order=Order(order_id="ord_1"))

    async def hang(self, _: pb.GetOrderRequest, context: Context) -> pb.GetOrderResponse:
        """Never answer."""
        await asyncio.Event().wait()
        raise AssertionError

    async def _note(self, context: Context) -> None:
        self.times.append(time.monotonic())
        self.metadata.append(dict(context.invocation_metadata() or ()))
        self.remaining.append(context.time_remaining())
        if self.left:
            self.left -= 1
            code, reason = self.refusal
            await refuse(context, code, reason, retry_seconds=self.seconds)

    @property
    def methods(self) -> dict[str, Serving]:
        """Give what it serves."""
        return {"CreateCheckout": self.create, "GetOrder": self.get}


async def test_a_checkout_keeps_its_idempotency_key_across_retries() -> None:
    desk = Desk(refusals=2)
    async with serving(desk.methods) as address, AsyncPaymentsClient(address) as client:
        checkout = await client.create_checkout(**WANTED)
        another = await client.create_checkout(**WANTED)

    first, second, third, fourth = (request.request_id for request in desk.requests)
    assert first == second == third == str(UUID(first)) == checkout.request_id
    assert fourth == another.request_id != first
    assert checkout.url == "https://pay.example/1"


async def test_a_blocking_client_retries_alike() -> None:
    desk = Desk(refusals=2)

    def create(address: str) -> str:
        with PaymentsClient(address) as client:
            return client.create_checkout(**WANTED).request_id

    async with serving(desk.methods) as address:
        request_id = await asyncio.to_thread(create, address)

    assert [request.request_id for request in desk.requests] == [request_id] * 3


async def test_an_error_carries_the_key_with_which_to_repeat_the_call() -> None:
    desk = Desk(refusals=99, reason="STRIPE_OUTCOME_UNKNOWN")
    async with serving(desk.methods) as address, AsyncPaymentsClient(address) as client:
        with pytest.raises(StripeOutcomeUnknownError) as caught:
            await client.create_checkout(**WANTED)
        desk.left = 0
        again = await client.create_checkout(**WANTED, request_id=caught.value.request_id)

    assert len(desk.requests) == 5  # four tries, then the repetition
    assert {request.request_id for request in desk.requests} == {again.request_id}


async def test_the_wait_that_the_service_asks_for_is_kept() -> None:
    desk = Desk(refusals=1, reason="STORAGE_UNAVAILABLE", seconds=0.7)
    async with serving(desk.methods) as address, AsyncPaymentsClient(address) as client:
        await client.create_checkout(**WANTED)

    assert desk.times[1] - desk.times[0] >= 0.7


async def test_only_unavailable_is_tried_again() -> None:
    desk = Desk(refusals=1, reason="STRIPE_RATE_LIMITED", seconds=2.0, code=Code.RESOURCE_EXHAUSTED)
    async with serving(desk.methods) as address, AsyncPaymentsClient(address) as client:
        with pytest.raises(StripeRateLimitedError) as caught:
            await client.create_checkout(**WANTED)

    assert len(desk.requests) == 1
    assert caught.value.retry_after == 2.0
    assert caught.value.retryable


async def test_in_the_end_the_service_s_own_reason_is_raised() -> None:
    desk = Desk(refusals=99, reason="STORAGE_UNAVAILABLE", seconds=0.01)
    async with serving(desk.methods) as address, AsyncPaymentsClient(address) as client:
        with pytest.raises(StorageUnavailableError):
            await client.get_order("ord_1")


async def test_a_service_that_is_not_there_is_unavailable() -> None:
    async with AsyncPaymentsClient("127.0.0.1:9") as client:
        with pytest.raises(UnavailableError, match="Check the address"):
            await client.create_checkout(**WANTED)


async def test_a_service_that_starts_while_it_is_called_answers() -> None:
    desk = Desk()
    async with serving(desk.methods) as address:
        pass
    async with AsyncPaymentsClient(address) as client:
        calling = asyncio.create_task(client.create_checkout(**WANTED))
        async with serving(desk.methods, address):
            checkout = await calling

    assert checkout.order.order_id == "ord_1"


async def test_every_call_has_a_deadline_that_the_service_sees() -> None:
    desk = Desk()
    async with serving(desk.methods) as address, AsyncPaymentsClient(address) as client:
        await client.create_checkout(**WANTED)
        await client.get_order("ord_1")
        await client.get_order("ord_1", timeout=2.0)

    asked, read, short = (seconds or 0.0 for seconds in desk.remaining)
    assert 25.0 < asked < 31.0
    assert 5.0 < read < 11.0
    assert 0.0 < short < 3.0


async def test_a_call_that_is_not_answered_ends_with_its_deadline() -> None:
    desk = Desk()
    async with serving({"GetOrder": desk.hang}) as address, AsyncPaymentsClient(address) as client:
        with pytest.raises(DeadlineExceededError) as caught:
            await client.get_order("ord_1", timeout=0.2)

    assert caught.value.retryable


async def test_a_token_goes_with_each_call_and_may_rotate() -> None:
    tokens = iter(["one", "two"])
    desk = Desk()
    async with serving(desk.methods) as address, AsyncPaymentsClient(address, token=lambda: next(tokens)) as client:
        await client.get_order("ord_1")
        await client.get_order("ord_1")

    assert [metadata["authorization"] for metadata in desk.metadata] == ["Bearer one", "Bearer two"]


@pytest.mark.parametrize(
    ("target", "plain"),
    [
        ("127.0.0.1:50051", True),
        ("localhost:50051", True),
        ("[::1]:50051", True),
        ("unix:///run/payments.sock", True),
        ("payments.internal:443", False),
        ("dns:///payments.internal:443", False),
        ("dns:///127.0.0.1:50051", True),
    ],
)
def test_beyond_this_machine_it_speaks_tls_unless_told_aloud(target: str, plain: bool) -> None:
    assert (make_connection(target).credentials is None) is plain
    assert make_connection(target, tls=False).credentials is None
    assert make_connection(target, tls=True).credentials is not None


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost "
        "-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout key.pem -out cert.pem"
    )
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    return tmp_path / "cert.pem", tmp_path / "key.pem"


async def test_it_trusts_the_roots_that_it_is_given(certificate: tuple[Path, Path]) -> None:
    async with serving(Desk().methods, certificate=certificate) as address:
        async with AsyncPaymentsClient(address, root_certificates=certificate[0]) as client:
            assert (await client.get_order("ord_1")).order_id == "ord_1"
        async with AsyncPaymentsClient(address, tls=True) as client:
            with pytest.raises(UnavailableError):
                await client.get_order("ord_1")


async def test_lists_are_read_page_after_page_as_they_are_needed() -> None:
    asked: list[str] = []

    async def list_orders(request: pb.ListOrdersRequest, _: Context) -> pb.ListOrdersResponse:
        asked.append(request.page_token)
        number = int(request.page_token or 0)
        orders = [Order(order_id=f"ord_{number + at}") for at in range(2)]
        return pb.ListOrdersResponse(orders=orders, next_page_token=str(number + 2) if number < 4 else "")

    async with serving({"ListOrders": list_orders}) as address, AsyncPaymentsClient(address) as client:
        first = await anext(aiter(client.list_orders()))
        assert asked == [""]
        everything = [order.order_id async for order in client.list_orders()]

    assert first.order_id == "ord_0"
    assert everything == [f"ord_{number}" for number in range(6)]
    assert asked == ["", "", "2", "4"]


async def test_an_order_is_named_by_one_id() -> None:
    async with AsyncPaymentsClient("127.0.0.1:9") as client:
        with pytest.raises(ValueError, match="one of them"):
            await client.get_order()
        with pytest.raises(ValueError, match="one of them"):
            await client.get_order("ord_1", checkout_session_id="cs_1")
