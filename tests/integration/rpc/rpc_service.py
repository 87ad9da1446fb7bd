"""A whole service behind a real gRPC server, and clients that call it as somebody."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo  # type: ignore[import-untyped]
from grpc_status import rpc_status

from integration.stages import Stages, open_stages, session_of
from payments_service.checkout.cancellation import Cancellation
from payments_service.checkout.checkout_request import ReturnPages
from payments_service.checkout.creation import CheckoutCreation
from payments_service.checkout.expiration import CheckoutExpiration
from payments_service.checkout.lookup import OrderLookup
from payments_service.checkout.order_wait import OrderWait
from payments_service.checkout.refunding import Refunding
from payments_service.contract.pb.payments.v1 import payments_pb2 as pb
from payments_service.contract.pb.payments.v1.operations_pb2_grpc import OperationsStub
from payments_service.contract.pb.payments.v1.payments_pb2_grpc import PaymentsStub
from payments_service.contract.pb.payments.v1.purchase_pb2 import (
    CoursePurchase,
    LineItem,
    Money,
    PriceData,
    Purchase,
    ServicePurchase,
)
from payments_service.event_log.consumer_surroundings import ConsumerLimits
from payments_service.event_log.fulfillment_consumption import FulfillmentConsumers
from payments_service.event_log.fulfillment_stream import FulfillmentStreams
from payments_service.event_log.subscriber_registry import SubscriberRegistry
from payments_service.event_log.tailer import Tailer
from payments_service.inbox.reconciler import Reconciler
from payments_service.rpc.callers import KnownCallers, open_callers
from payments_service.rpc.grpc_server import ServerConfig, ServerParts, open_server
from payments_service.rpc.operations_servicer import ServiceFacts
from payments_service.storage.order_rows import OrderRow
from payments_service.stripe_gateway.client import StripeKey, open_gateway

if TYPE_CHECKING:
    from payments_service.contract.pb.payments.v1.operations_pb2_grpc import OperationsAsyncStub
    from payments_service.contract.pb.payments.v1.payments_pb2_grpc import PaymentsAsyncStub

PATIENCE = 10.0
PAGES = ReturnPages("http://127.0.0.1:8080/checkout/return", "http://127.0.0.1:8080/checkout/cancelled")
FACTS = ServiceFacts(version="1.2.3", livemode=False, broker="memory", database="sqlite")
NOWHERE = "http://127.0.0.1:9"
COURSE = Purchase(course=CoursePurchase(course_id="intro-to-sql"))
SERVICE = Purchase(service=ServicePurchase(service_id="haircut"))


class Entry(NamedTuple):
    """One caller of the file; its token is its name."""

    name: str
    role: str
    organizations: list[str]
    purchase_types: list[str]


SHOP = Entry("shop", "caller", ["org_1"], ["*"])
COURSES = Entry("courses", "caller", ["org_1"], ["course"])
OTHER = Entry("other", "caller", ["org_2"], ["*"])
OPERATOR = Entry("operator", "operator", ["*"], ["*"])
CALLERS = [SHOP, COURSES, OTHER, OPERATOR]


def callers_toml(*entries: Entry, tokens: dict[str, list[str]] | None = None) -> str:
    """Write a callers file; a caller's token is its name unless others are given."""
    return "\n".join(
        f"[[callers]]\nname = {entry.name!r}\nrole = {entry.role!r}\n"
        f"token_sha256 = {[digest(token) for token in (tokens or {}).get(entry.name, [entry.name])]}\n"
        f"organizations = {entry.organizations}\npurchase_types = {entry.purchase_types}\n"
        for entry in entries
    )


def digest(token: str) -> str:
    """Give what the file holds of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def bearer(token: str | Entry) -> tuple[tuple[str, str], ...]:
    """Give the metadata of a call by somebody."""
    return (("authorization", f"Bearer {token.name if isinstance(token, Entry) else token}"),)


@dataclass
class RpcService:
    """A service that is listening, and a channel to it."""

    stages: Stages
    tailer: Tailer
    parts: ServerParts
    channel: grpc.aio.Channel
    address: str
    callers_path: Path

    @property
    def payments(self) -> "PaymentsAsyncStub":
        """Give the stub for callers."""
        return PaymentsStub(self.channel)

    @property
    def operations(self) -> "OperationsAsyncStub":
        """Give the stub for operators."""
        return OperationsStub(self.channel)

    def take_up(self, callers: str) -> None:
        """Change the callers file, and look at it as often as the service does until it is settled."""
        self.callers_path.write_text(callers)
        self.look_at_callers()

    def look_at_callers(self) -> None:
        """Look at the callers file twice."""
        assert isinstance(self.parts.callers, KnownCallers)
        self.parts.callers.reload()
        self.parts.callers.reload()

    async def order(self, organization_id: str = "org_1", purchase: Purchase = COURSE, **changes: object) -> OrderRow:
        """Store an order whose checkout is open, under a session of its own."""
        session_id = f"cs_test_{uuid4().hex}"
        return await self.stages.order(purchase, organization_id, **{"checkout_session_id": session_id, **changes})

    async def paid_order(self, organization_id: str = "org_1", purchase: Purchase = COURSE) -> OrderRow:
        """Store an order, and let Stripe tell that it was paid."""
        order = await self.order(organization_id, purchase)
        await self.stages.tell("checkout.session.completed", self.session(order))
        return await self.stages.order_now(order.order_id)

    def session(self, order: OrderRow) -> dict[str, Any]:
        """Give Stripe's paid session of an order."""
        return session_of(order) | {"id": order.checkout_session_id, "payment_intent": f"pi_{order.order_id}"}

    async def log(self) -> None:
        """Let the log take what is staged, and the streams see it."""
        head = len(await self.stages.log())
        while self.tailer.head < head:
            grown = self.tailer.growth()
            self.tailer.hint()
            await grown.wait()


@asynccontextmanager
async def open_service(
    folder: Path,
    *,
    database_url: str = "",
    callers: str = callers_toml(*CALLERS),
    stripe: str = NOWHERE,
    limits: ConsumerLimits | None = None,
    **config: Any,  # noqa: ANN401
) -> AsyncIterator[RpcService]:
    """Open everything behind the server, the server, and a channel."""
    callers_path = folder / "callers.toml"
    callers_path.write_text(callers)
    async with AsyncExitStack() as stack:
        stages = await stack.enter_async_context(open_stages(database_url or folder))
        gateway = await stack.enter_async_context(open_gateway(StripeKey("sk_test_123456789", stripe)))
        known = await stack.enter_async_context(open_callers(callers_path if callers else None))
        tailer = Tailer(stages.database)
        await tailer.open()
        stack.push_async_callback(_stop, asyncio.create_task(tailer.run()))
        shared = (stages.database, gateway, stages.waker)
        lookup = OrderLookup(*shared, stages.now)
        streams = FulfillmentStreams(stages.database, tailer, stages.now)
        consumers = FulfillmentConsumers(stages.database, tailer, stages.now, limits=limits)
        parts = ServerParts(
            database=stages.database,
            callers=known,
            creation=CheckoutCreation(*shared, PAGES, stages.now),
            expiration=CheckoutExpiration(*shared, stages.now),
            lookup=lookup,
            waiting=OrderWait(lookup, tailer.growth, lambda: streams.drained),
            refunding=Refunding(*shared, stages.now),
            cancellation=Cancellation(*shared, stages.now),
            desk=stages.desk,
            replay=stages.replay,
            reconciler=Reconciler(*shared, lambda: [], stages.now),
            streams=streams,
            consumers=consumers,
            subscribers=SubscriberRegistry(stages.database, stages.now, consumers.tell),
            clock=stages.now,
            facts=FACTS,
        )
        settings = replace(ServerConfig("127.0.0.1:0", drain_seconds=2.0), **config)
        server = await stack.enter_async_context(open_server(settings, parts))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(server.address))
        yield RpcService(stages, tailer, parts, channel, server.address, callers_path)


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


@dataclass(frozen=True)
class Refused:
    """What a client can read of a refusal."""

    code: grpc.StatusCode
    message: str
    reason: str
    metadata: dict[str, str]
    fields: tuple[str, ...] = ()
    retry_seconds: float | None = None


async def refusal(call: Awaitable[object]) -> Refused:
    """Await a call that is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return refused(caught.value)


def refused(error: grpc.aio.AioRpcError) -> Refused:
    """Read the details of an error."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # it has what is read of a call
    assert status is not None, error
    info, violations, retry = ErrorInfo(), BadRequest(), RetryInfo()
    found = [message for message in (info, violations, retry) for any_ in status.details if any_.Unpack(message)]
    assert info in found
    assert info.domain == "payments"
    return Refused(
        error.code(),
        error.details() or "",
        info.reason,
        dict(info.metadata),
        tuple(violation.field for violation in violations.field_violations),
        retry.retry_delay.ToTimedelta().total_seconds() if retry in found else None,
    )


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(PATIENCE):
        while not await holds():  # noqa: ASYNC110  # there is no event to wait for
            await asyncio.sleep(0.02)


def checkout(**changes: Any) -> pb.CreateCheckoutRequest:  # noqa: ANN401
    """Ask for a checkout of one course."""
    price = PriceData(unit_amount=Money(currency_code="USD", minor_units=4900), product_name="Intro to SQL")
    request = pb.CreateCheckoutRequest(
        request_id=str(uuid4()),
        organization_id="org_1",
        user_id="user_1",
        purchase=COURSE,
        line_items=[LineItem(price_data=price)],
    )
    request.MergeFrom(pb.CreateCheckoutRequest(**changes))
    return request
