"""A backend that sells through the service, and the buyer who pays in the sandbox."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import grpc

from payments_service.bootstrap import open_service
from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent, StartPosition
from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import StreamFulfillmentsRequest
from payments_service.contract.pb.payments.v1.operations_pb2_grpc import OperationsStub
from payments_service.contract.pb.payments.v1.order_pb2 import Order
from payments_service.contract.pb.payments.v1.payments_pb2 import CreateCheckoutRequest, GetOrderRequest
from payments_service.contract.pb.payments.v1.payments_pb2_grpc import PaymentsStub
from payments_service.contract.pb.payments.v1.purchase_pb2 import CoursePurchase, LineItem, Money, PriceData, Purchase
from payments_service.process_parts import Role, Running
from payments_service.settings import Settings, read_settings

ALL = frozenset(Role)
PATIENCE = 20.0
COURSE = Purchase(course=CoursePurchase(course_id="intro-to-sql"))


def settings_in(folder: Path, **changes: object) -> Settings:
    """Give settings on free ports, with all state in the folder."""
    free = {f"{name}_address": "127.0.0.1:0" for name in ("grpc", "bridge", "sandbox")}
    files = {"database_url": f"sqlite:///{folder}/payments.db", "sandbox_database": folder / "sandbox.db"}
    return read_settings(**(free | files | changes))


def checkout_request(purchase: Purchase = COURSE, **changes: Any) -> CreateCheckoutRequest:  # noqa: ANN401
    """Ask for a checkout of one thing at 49 euros."""
    price = PriceData(unit_amount=Money(currency_code="EUR", minor_units=4900), product_name="Intro to SQL")
    fields: dict[str, Any] = {
        "request_id": str(uuid4()),
        "organization_id": "org_1",
        "user_id": "user_1",
        "purchase": purchase,
        "line_items": [LineItem(price_data=price)],
    }
    return CreateCheckoutRequest(**(fields | changes))


class Subscription:
    """Collects the events of a stream, as a subscriber does."""

    def __init__(self) -> None:
        self.events: list[FulfillmentEvent] = []
        self._more = asyncio.Event()

    def take(self, events: list[FulfillmentEvent]) -> None:
        """Keep what has come."""
        self.events.extend(events)
        self._more.set()

    async def until(self, holds: Callable[[list[FulfillmentEvent]], bool]) -> list[FulfillmentEvent]:
        """Wait until the events hold what is asked for."""
        async with asyncio.timeout(PATIENCE):
            while not holds(self.events):
                self._more.clear()
                await self._more.wait()
        return self.events

    async def of(self, order: Order, event_type: int) -> FulfillmentEvent:
        """Wait for an order's event."""

        def found(events: list[FulfillmentEvent]) -> list[FulfillmentEvent]:
            return [event for event in events if (event.order_id, event.type) == (order.order_id, event_type)]

        return found(await self.until(lambda events: bool(found(events))))[0]


class Shop:
    """Calls the service by gRPC, and the bridge and the sandbox by HTTP."""

    def __init__(self, running: Running, channel: grpc.aio.Channel, http: aiohttp.ClientSession) -> None:
        self.running = running
        self.payments = PaymentsStub(channel)
        self.operations = OperationsStub(channel)
        self.http = http

    async def checkout(self, purchase: Purchase = COURSE, **changes: Any) -> Order:  # noqa: ANN401
        """Create a checkout."""
        return (await self.payments.CreateCheckout(checkout_request(purchase, **changes))).order

    async def sandbox(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401
        """Drive the sandbox."""
        async with self.http.request(method, f"{self.running.sandbox_url}/_sandbox/{path}", json=body) as reply:
            assert reply.status == 200, await reply.text()
            return await reply.json()

    async def buyer(self, order: Order, move: str = "pay") -> None:
        """Do as the buyer does."""
        await self.sandbox("POST", f"sessions/{order.checkout_session_id}/{move}")

    async def order_now(self, order: Order) -> Order:
        """Read an order."""
        return (await self.payments.GetOrder(GetOrderRequest(order_id=order.order_id))).order

    @asynccontextmanager
    async def subscribed(self) -> AsyncIterator[Subscription]:
        """Read the stream from its beginning."""
        subscription = Subscription()
        request = StreamFulfillmentsRequest(start=StartPosition(earliest=True))

        async def read() -> None:
            async for response in self.payments.StreamFulfillments(request):
                subscription.take(list(response.events))

        reading = asyncio.create_task(read())
        try:
            yield subscription
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


@asynccontextmanager
async def open_shop(settings: Settings) -> AsyncIterator[Shop]:
    """Run the whole service, and a shop in front of it."""
    async with (
        open_service(settings, ALL) as running,
        grpc.aio.insecure_channel(running.grpc_address) as channel,
        aiohttp.ClientSession() as http,
    ):
        yield Shop(running, channel, http)
