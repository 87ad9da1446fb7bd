"""Times the main job on this machine: start-up, what CreateCheckout adds to Stripe's own time, payment to notification.

    .venv/bin/python tests/benchmarks/main_job.py

Everything runs in a child process as `payments up` runs it; the caller and the buyer are in this one.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import aiohttp
import grpc
import stripe

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent, StartPosition
from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import StreamFulfillmentsRequest
from payments_service.contract.pb.payments.v1.payments_pb2 import CreateCheckoutRequest
from payments_service.contract.pb.payments.v1.payments_pb2_grpc import PaymentsStub
from payments_service.contract.pb.payments.v1.purchase_pb2 import CoursePurchase, LineItem, Money, PriceData, Purchase

if TYPE_CHECKING:
    from payments_service.contract.pb.payments.v1.payments_pb2_grpc import PaymentsAsyncStub

ROUNDS = 300
WARM_UP = 30


@asynccontextmanager
async def service() -> AsyncIterator[dict[str, Any]]:
    """Run `payments up --json` on free ports, and give what it announces with the seconds that it took."""
    with tempfile.TemporaryDirectory() as folder:
        free = {f"PAYMENTS_{name}_ADDRESS": "127.0.0.1:0" for name in ("GRPC", "BRIDGE", "SANDBOX")}
        files = {"PAYMENTS_DATABASE_URL": f"sqlite:///{folder}/p.db", "PAYMENTS_SANDBOX_DATABASE": f"{folder}/s.db"}
        command = (str(Path(sys.executable).parent / "payments"), "up", "--json")
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, **free, **files},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdout is not None
        announced = json.loads(await process.stdout.readline())
        try:
            yield announced | {"seconds": time.perf_counter() - began}
        finally:
            process.terminate()
            await process.wait()


def checkout_request() -> CreateCheckoutRequest:
    price = PriceData(unit_amount=Money(currency_code="EUR", minor_units=4900), product_name="Intro to SQL")
    return CreateCheckoutRequest(
        request_id=str(uuid4()),
        organization_id="org_1",
        user_id="user_1",
        purchase=Purchase(course=CoursePurchase(course_id="intro-to-sql")),
        line_items=[LineItem(price_data=price)],
    )


def session_parameters() -> dict[str, Any]:
    metadata = dict.fromkeys(("type", "organization_id", "user_id", "order_id", "purchase.course_id"), "x" * 16)
    price = {"currency": "eur", "unit_amount": 4900, "product_data": {"name": "Intro to SQL"}}
    return {
        "mode": "payment",
        "line_items": [{"price_data": price, "quantity": 1}],
        "success_url": "http://127.0.0.1/ok",
        "cancel_url": "http://127.0.0.1/no",
        "metadata": metadata,
        "payment_intent_data": {"metadata": metadata},
    }


async def timed(call: Callable[[], Awaitable[object]]) -> list[float]:
    """Make the calls one after the other; gives milliseconds, sorted."""
    times = []
    for number in range(WARM_UP + ROUNDS):
        began = time.perf_counter()
        await call()
        if number >= WARM_UP:
            times.append((time.perf_counter() - began) * 1000)
    return sorted(times)


def told(name: str, times: list[float]) -> str:
    return f"{name:<46} p50 {statistics.median(times):7.2f} ms   p99 {times[int(len(times) * 0.99)]:7.2f} ms"


async def notifications(payments: "PaymentsAsyncStub", http: aiohttp.ClientSession, sandbox: str) -> list[float]:
    """Pay one checkout after the other; the time is from the answer of the payment to FULFILLED at a subscriber."""
    fulfilled: dict[str, asyncio.Future[float]] = {}

    async def subscribe() -> None:
        async for response in payments.StreamFulfillments(StreamFulfillmentsRequest(start=StartPosition(latest=True))):
            for event in response.events:
                if event.type == FulfillmentEvent.TYPE_FULFILLED and event.order_id in fulfilled:
                    fulfilled[event.order_id].set_result(time.perf_counter())

    subscriber = asyncio.create_task(subscribe())
    times = []
    for number in range(WARM_UP + ROUNDS):
        order = (await payments.CreateCheckout(checkout_request())).order
        fulfilled[order.order_id] = asyncio.get_running_loop().create_future()
        async with http.post(f"{sandbox}/_sandbox/sessions/{order.checkout_session_id}/pay", json={}) as paid:
            assert paid.status == 200
        began = time.perf_counter()
        took = (await fulfilled[order.order_id] - began) * 1000
        if number >= WARM_UP:
            times.append(took)
    subscriber.cancel()
    await asyncio.gather(subscriber, return_exceptions=True)
    return sorted(times)


async def main() -> None:
    stripe.enable_telemetry = False
    async with service() as running, aiohttp.ClientSession() as http:
        sandbox = running["sandbox_url"]
        client = stripe.StripeClient(
            "sk_test_benchmark", http_client=stripe.AIOHTTPClient(session=http), base_addresses={"api": sandbox}
        )
        async with grpc.aio.insecure_channel(running["grpc_address"]) as channel:
            payments = PaymentsStub(channel)
            alone = await timed(
                lambda: client.raw_request_async("post", "/v1/checkout/sessions", **session_parameters())
            )
            whole = await timed(lambda: payments.CreateCheckout(checkout_request()))
            notified = await notifications(payments, http, sandbox)
    print(f"{'start-up, from the command to the ready line':<46} {running['seconds']:.2f} s")
    print(told("the sandbox's own POST, by the official SDK", alone))
    print(told("CreateCheckout", whole))
    print(f"{'CreateCheckout adds':<46} p50 {statistics.median(whole) - statistics.median(alone):7.2f} ms")
    print(told("payment to FULFILLED at a subscriber", notified))


if __name__ == "__main__":
    asyncio.run(main())
