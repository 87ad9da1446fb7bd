"""The checkout as bootstrap puts it together, with a gateway that tells what was asked and can be interrupted."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import aiohttp
from sqlalchemy import update

from payments_service.checkout.checkout_request import ReturnPages
from payments_service.checkout.creation import CheckoutCreation
from payments_service.checkout.expiration import CheckoutExpiration
from payments_service.checkout.lookup import OrderLookup
from payments_service.contract.pb.payments.v1.order_pb2 import Order
from payments_service.contract.pb.payments.v1.payments_pb2 import CreateCheckoutRequest
from payments_service.contract.pb.payments.v1.purchase_pb2 import CoursePurchase, LineItem, Money, PriceData, Purchase
from payments_service.scope import EVERYTHING, Caller
from payments_service.storage.database import Database, open_database
from payments_service.storage.order_rows import OrderRow, find_order
from payments_service.storage.schema import migrate
from payments_service.storage.tables import orders
from payments_service.storage.timeline_rows import TimelineRow, list_timeline
from payments_service.stripe_gateway.client import StripeGateway, StripeKey, open_gateway
from stripe_sandbox.configuration import SandboxConfig
from stripe_sandbox.sandbox_server import open_sandbox

KEY = "sk_test_123456789"
PAGES = ReturnPages(
    "http://127.0.0.1:8080/checkout/return?session_id={CHECKOUT_SESSION_ID}", "http://127.0.0.1:8080/no"
)
COURSES = Caller("course-service", operator=False, scope=EVERYTHING)
BUDGET = 10.0
Json = dict[str, Any]


def course_request(**changes: object) -> CreateCheckoutRequest:
    """Give a request for one course of 49.00 USD, under an id of its own."""
    price = PriceData(unit_amount=Money(currency_code="USD", minor_units=4900), product_name="Intro to SQL")
    request = CreateCheckoutRequest(
        request_id=str(uuid4()),
        organization_id="org_1",
        user_id="user_1",
        purchase=Purchase(course=CoursePurchase(course_id="intro-to-sql", cohort_id="2027-01")),
        line_items=[LineItem(price_data=price)],
    )
    request.MergeFrom(CreateCheckoutRequest(**cast("Any", changes)))
    return request


@dataclass
class NotedWaker:
    """Notes whom it was to wake."""

    pokes: int = 0
    fulfillments: list[str] = field(default_factory=list)

    def wake_event(self, stripe_event_id: str) -> None:
        """Never called by a checkout."""
        raise AssertionError(stripe_event_id)

    def wake_fulfillment(self, fulfillment_id: str) -> None:
        """Note it."""
        self.fulfillments.append(fulfillment_id)

    def poke_log(self) -> None:
        """Count it."""
        self.pokes += 1


class WatchedGateway(StripeGateway):
    """Passes everything on to the real gateway, and tells what was asked."""

    def __init__(self, real: StripeGateway) -> None:
        self.real = real
        self.livemode = real.livemode
        self.asked: Counter[str] = Counter()
        self.keys: list[str] = []
        self.before_ask: Callable[[], Awaitable[None]] | None = None
        self.once_answered: Callable[[Json], Awaitable[None]] | None = None

    async def create_session(
        self, parameters: Mapping[str, Any], *, idempotency_key: str, account: str, budget: float
    ) -> Json:
        """Pass on, and let the test step in between Stripe's answer and whoever waits for it."""
        self.asked["create"] += 1
        self.keys.append(idempotency_key)
        if self.before_ask is not None:
            await self.before_ask()
        session = await self.real.create_session(
            parameters, idempotency_key=idempotency_key, account=account, budget=budget
        )
        if self.once_answered is not None:
            step, self.once_answered = self.once_answered, None
            await step(session)
        return session

    async def retrieve_session(self, session_id: str, *, account: str, budget: float) -> Json:
        """Pass on."""
        self.asked["retrieve"] += 1
        return await self.real.retrieve_session(session_id, account=account, budget=budget)

    async def expire_session(self, session_id: str, *, idempotency_key: str, account: str, budget: float) -> Json:
        """Pass on."""
        self.asked["expire"] += 1
        return await self.real.expire_session(
            session_id, idempotency_key=idempotency_key, account=account, budget=budget
        )

    async def find_session(
        self, order_id: str, *, since: datetime, until: datetime, account: str, budget: float
    ) -> Json | None:
        """Pass on."""
        self.asked["find"] += 1
        return await self.real.find_session(order_id, since=since, until=until, account=account, budget=budget)


class Shop:
    """A checkout in a test's hands."""

    def __init__(self, database: Database, gateway: StripeGateway, http: aiohttp.ClientSession, url: str) -> None:
        self.database = database
        self.gateway = WatchedGateway(gateway)
        self.waker = NotedWaker()
        self.late = timedelta()
        self.url = url
        self._http = http
        self.creation = CheckoutCreation(database, self.gateway, self.waker, PAGES, self.now)
        self.expiration = CheckoutExpiration(database, self.gateway, self.waker, self.now)
        self.lookup = OrderLookup(database, self.gateway, self.waker, self.now)

    def now(self) -> datetime:
        """Give our time, moved by what the test says; Stripe's is not moved by it."""
        return datetime.now(UTC) + self.late

    async def create(self, request: CreateCheckoutRequest, caller: Caller = COURSES, budget: float = BUDGET) -> Order:
        """Call CreateCheckout."""
        return await self.creation.create(request, caller, budget=budget)

    async def expire(self, order_id: str, budget: float = BUDGET) -> Order:
        """Call ExpireCheckout."""
        return await self.expiration.expire(order_id, EVERYTHING, budget=budget)

    async def get(self, order_id: str, *, refresh: bool = False, budget: float = BUDGET) -> Order:
        """Call GetOrder."""
        return await self.lookup.get(order_id=order_id, scope=EVERYTHING, refresh=refresh, budget=budget)

    async def row(self, order_id: str) -> OrderRow:
        """Read an order's row."""
        async with self.database.reading() as reading:
            row = await find_order(reading, order_id, EVERYTHING)
        assert row is not None
        return row

    async def only_row(self) -> OrderRow:
        """Read the only order's row."""
        async with self.database.reading() as reading:
            (order_id,) = (await reading.execute(orders.select().with_only_columns(orders.c.order_id))).scalars()
        return await self.row(order_id)

    async def timeline(self, order_id: str) -> list[TimelineRow]:
        """Read an order's timeline."""
        async with self.database.reading() as reading:
            return await list_timeline(reading, order_id)

    async def change(self, order_id: str, **values: object) -> None:
        """Change an order's row behind everybody's back."""
        async with self.database.transaction() as tx:
            await tx.execute(update(orders).where(orders.c.order_id == order_id).values(**values))

    async def end_lease(self, order_id: str) -> None:
        """Let the time of whoever held it run out."""
        await self.change(order_id, creation_lease_expire_time=datetime.now(UTC) - timedelta(seconds=1))

    async def read(self, path: str) -> Json:
        """Read from Stripe's API, beside the gateway."""
        async with self._http.get(f"{self.url}/v1/{path}", headers={"Authorization": f"Bearer {KEY}"}) as reply:
            assert reply.status == 200, await reply.text()
            return cast("Json", await reply.json())

    async def sessions(self) -> list[Json]:
        """List what Stripe holds."""
        return cast("list[Json]", (await self.read("checkout/sessions?limit=100"))["data"])

    async def session(self) -> Json:
        """Give the only session that Stripe holds."""
        (session,) = await self.sessions()
        return session

    async def control(self, method: str, path: str, body: object = None) -> Json:
        """Drive the sandbox."""
        async with self._http.request(method, f"{self.url}/_sandbox/{path}", json=body) as reply:
            assert reply.status == 200, await reply.text()
            return cast("Json", await reply.json())

    async def api_fault(self, **fault: object) -> None:
        """Let Stripe's API fail from now on."""
        await self.control("PUT", "faults", {"api": fault})

    async def no_faults(self) -> None:
        """Let it be well again."""
        await self.control("DELETE", "faults")


@asynccontextmanager
async def open_shop(folder: Path, database_url: str = "") -> AsyncIterator[Shop]:
    """Open a shop with a database, a SQLite file where none is named, and a new sandbox in the folder."""
    async with (
        open_sandbox(SandboxConfig(port=0, database=folder / "sandbox.db")) as sandbox,
        open_gateway(StripeKey(KEY, sandbox.url)) as gateway,
        open_database(database_url or f"sqlite+aiosqlite:///{folder}/payments.db") as database,
        aiohttp.ClientSession() as http,
    ):
        await migrate(database)
        yield Shop(database, gateway, http, sandbox.url)
