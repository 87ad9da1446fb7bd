"""The stages behind the bridge on a real database, driven by hand: events in, attempts made, the log read."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from event_log.log_scene import read_log
from sqlalchemy import insert, update

from payments_service.actors.event_work import EventWork
from payments_service.actors.fulfillment_work import FulfillmentWork
from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent
from payments_service.contract.pb.payments.v1.purchase_pb2 import CoursePurchase, Purchase
from payments_service.fulfillment.attempt import FulfillmentAttempts
from payments_service.fulfillment.desk import FulfillmentDesk
from payments_service.fulfillment.plugin import FulfillerPlugin
from payments_service.fulfillment.registry import FulfillerRegistry
from payments_service.inbox.enquiry import Enquiry
from payments_service.inbox.replay import EventReplay
from payments_service.orders.states import PaymentState, StripeEventState
from payments_service.orders.verdict import ClaimRules
from payments_service.retry_policy import RetryPolicy
from payments_service.scope import EVERYTHING
from payments_service.storage.database import Database, open_database
from payments_service.storage.fulfillment_rows import FulfillmentRow, list_fulfillments
from payments_service.storage.inbox_rows import InboxRow, find_event
from payments_service.storage.log_rows import sequence_events
from payments_service.storage.order_rows import OrderRow, find_order, insert_order
from payments_service.storage.schema import migrate
from payments_service.storage.tables import fulfillments, stripe_events
from payments_service.stripe_gateway.client import StripeGateway, StripeKey, open_gateway
from payments_service.stripe_gateway.metadata import encode_purchase, purchase_type

COURSE = Purchase(course=CoursePurchase(course_id="intro-to-sql"))
SESSION_ID = "cs_test_1"
RULES = ClaimRules(livemode=False, claimed_types=frozenset({"gift_card"}))
RETRIES = RetryPolicy(max_attempts=3, first_seconds=60.0, cap_seconds=600.0)


@dataclass
class NotedWaker:
    """Notes whom it was to wake, and wakes nobody."""

    fulfillments: list[str] = field(default_factory=list)

    def wake_event(self, stripe_event_id: str) -> None:
        """Lose it."""

    def wake_fulfillment(self, fulfillment_id: str) -> None:
        """Note it."""
        self.fulfillments.append(fulfillment_id)

    def poke_log(self) -> None:
        """Lose it: a test sequences by hand."""


class Stages:
    """Everything between the inbox and the log."""

    def __init__(
        self,
        database: Database,
        gateway: StripeGateway,
        plugins: dict[str, FulfillerPlugin] | None = None,
        rules: ClaimRules = RULES,
    ) -> None:
        self.database = database
        self.waker = NotedWaker()
        self.late = timedelta()
        self.enquiry = Enquiry(database, gateway)
        attempts = FulfillmentAttempts(database, FulfillerRegistry(plugins or {}), RETRIES, self.now, lambda: 0.0)
        self.events = EventWork(database, self.enquiry, self.waker, rules, RETRIES, self.now, lambda: 0.0)
        self.fulfillments = FulfillmentWork(attempts, self.waker)
        self.desk = FulfillmentDesk(database, self.waker, RETRIES, self.now, lambda: 0.0)
        self.replay = EventReplay(database, self.enquiry, self.waker, rules, self.now)
        self._numbers = count(1)

    def now(self) -> datetime:
        """Give the time, moved by what the test says."""
        return datetime.now(UTC) + self.late

    async def order(self, purchase: Purchase = COURSE, organization_id: str = "org_1", **changes: object) -> OrderRow:
        """Store an order as CreateCheckout leaves it once Stripe has answered."""
        order_id = f"ord_{next(self._numbers):032x}"
        values = {
            "order_id": order_id,
            "organization_id": organization_id,
            "user_id": "user_1",
            "created_by": "shop",
            "request_id": order_id,
            "request_digest": b"",
            "purchase_type": purchase_type(purchase),
            "purchase": purchase.SerializeToString(),
            "mode": 1,
            "livemode": False,
            "stripe_parameters": {},
            "facts": {},
            "payment_state": PaymentState.OPEN,
            "checkout_session_id": SESSION_ID,
            "create_time": self.now(),
            "update_time": self.now(),
        }
        async with self.database.transaction() as tx:
            await insert_order(tx, values | changes)
        return await self.order_now(order_id)

    async def order_now(self, order_id: str) -> OrderRow:
        """Read an order."""
        async with self.database.reading() as reading:
            row = await find_order(reading, order_id, EVERYTHING)
        assert row is not None
        return row

    async def store(self, event_type: str, stripe_object: dict[str, Any], **changes: object) -> str:
        """Put an event into the inbox as the bridge would."""
        event_id = f"evt_{next(self._numbers)}"
        payload = {"id": event_id, "object": "event", "type": event_type, "data": {"object": stripe_object}}
        values = {
            "stripe_event_id": event_id,
            "type": event_type,
            "livemode": False,
            "payload": json.dumps(payload).encode(),
            "object_id": stripe_object.get("id", ""),
            "payment_intent_id": stripe_object.get("payment_intent"),
            "source": "webhook",
            "state": StripeEventState.PENDING,
            "next_attempt_time": datetime.now(UTC) - timedelta(seconds=1),
            "stripe_create_time": self.now(),
            "receive_time": self.now(),
        }
        async with self.database.transaction() as tx:
            await tx.execute(insert(stripe_events).values(values | changes))
        return event_id

    async def tell(self, event_type: str, stripe_object: dict[str, Any], **changes: object) -> InboxRow:
        """Store an event and work on it once."""
        event_id = await self.store(event_type, stripe_object, **changes)
        await self.events.work(event_id)
        return await self.event_now(event_id)

    async def event_now(self, event_id: str) -> InboxRow:
        """Read an event."""
        async with self.database.reading() as reading:
            row = await find_event(reading, event_id)
        assert row is not None
        return row

    async def owed(self, order_id: str) -> list[FulfillmentRow]:
        """List what an order owes or has fulfilled."""
        async with self.database.reading() as reading:
            return await list_fulfillments(reading, order_id, None, 100)

    async def fulfill(self, order_id: str) -> FulfillmentRow:
        """Make one attempt at the order's only fulfillment."""
        (row,) = await self.owed(order_id)
        await self.fulfillments.work(row.fulfillment_id)
        (row,) = await self.owed(order_id)
        return row

    async def make_due(self) -> None:
        """Let the waiting of all that is to be tried again be over."""
        due = {"next_attempt_time": datetime.now(UTC) - timedelta(seconds=1)}
        async with self.database.transaction() as tx:
            await tx.execute(update(fulfillments).where(fulfillments.c.next_attempt_time.is_not(None)).values(due))
            await tx.execute(update(stripe_events).where(stripe_events.c.next_attempt_time.is_not(None)).values(due))

    async def log(self) -> list[FulfillmentEvent]:
        """Sequence what is staged and read the whole log."""
        async with self.database.transaction() as tx:
            await sequence_events(tx)
        async with self.database.reading() as reading:
            return await read_log(reading)


@asynccontextmanager
async def open_stages(
    place: Path | str, plugins: dict[str, FulfillerPlugin] | None = None, forward_to: str = ""
) -> AsyncIterator[Stages]:
    """Open the stages over a database by its URL, or over a new SQLite file in a folder."""
    url = place if isinstance(place, str) else f"sqlite+aiosqlite:///{place}/payments.db"
    nobody = StripeKey("sk_test_nobody", "http://127.0.0.1:9")
    async with open_database(url) as database, open_gateway(nobody) as gateway:
        await migrate(database)
        forwarded = [forward_to] if forward_to else []
        yield Stages(database, gateway, plugins, replace(RULES, forward_urls=lambda _: forwarded))


def session_of(order: OrderRow, status: str = "complete", payment_status: str = "paid") -> dict[str, Any]:
    """Give Stripe's session of an order."""
    purchase = Purchase.FromString(order.purchase)
    return {
        "id": SESSION_ID,
        "object": "checkout.session",
        "status": status,
        "payment_status": payment_status,
        "payment_intent": "pi_1" if status == "complete" else None,
        "amount_total": 4900,
        "currency": "usd",
        "metadata": encode_purchase(
            purchase, organization_id=order.organization_id, user_id=order.user_id, order_id=order.order_id
        ),
    }
