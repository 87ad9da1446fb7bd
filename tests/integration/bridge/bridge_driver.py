"""A bridge on a free port over a SQLite file, and what a test needs to play Stripe, a stranger, and the database."""

import asyncio
import io
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from sqlalchemy import event, select, update
from stripe import WebhookSignature

from payments_service.checkout.lookup import OrderLookup
from payments_service.inbox.receiver import Receiver, open_receiver
from payments_service.storage.database import Database, open_database
from payments_service.storage.inbox_rows import InboxRow, find_event
from payments_service.storage.schema import migrate
from payments_service.storage.tables import stripe_events
from payments_service.stripe_gateway.client import StripeKey, open_gateway
from webhook_bridge.bridge_server import Bridge, BridgeConfig, open_bridge
from webhook_bridge.http_connection import REQUEST_SECONDS

SECRETS = ("whsec_old", "whsec_new")
WAIT_SECONDS = 15
Json = dict[str, Any]
_numbers = count(1)


def now() -> datetime:
    """Give the time."""
    return datetime.now(UTC)


def stripe_event(**changes: object) -> Json:
    """Give an event about a session, with an id of its own."""
    number = next(_numbers)
    session = {"id": f"cs_test_{number}", "object": "checkout.session", "payment_intent": f"pi_{number}"}
    base = {
        "id": f"evt_{number}",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": int(now().timestamp()),
        "data": {"object": session},
        "livemode": False,
        "type": "checkout.session.completed",
    }
    return base | changes


def signed(payload: bytes, secret: str = SECRETS[0], age: int = 0) -> str:
    """Sign as Stripe's SDK does."""
    timestamp = int(now().timestamp()) - age
    header: str = WebhookSignature.generate_signature_header(payload.decode("utf-8"), secret, timestamp=timestamp)
    return header


@dataclass
class NotedWaker:
    """Notes which events it was to wake."""

    events: list[str] = field(default_factory=list)

    def wake_event(self, stripe_event_id: str) -> None:
        """Note it."""
        self.events.append(stripe_event_id)

    def wake_fulfillment(self, fulfillment_id: str) -> None:
        """Never called by the bridge."""
        raise AssertionError(fulfillment_id)

    def poke_log(self) -> None:
        """Never called by the bridge."""
        raise AssertionError


class Inbox:
    """The database of a test, and what can happen to it."""

    def __init__(self, database: Database, file: Path) -> None:
        """Count from here on how often somebody takes the writing connection: a commit each."""
        self.database = database
        self._file = file
        self.commits = 0
        event.listen(database.engine.sync_engine, "checkout", self._count)

    def _count(self, *_: object) -> None:
        self.commits += 1

    async def ids(self) -> set[str]:
        """List what is stored."""
        async with self.database.reading() as reading:
            return set((await reading.execute(select(stripe_events.c.stripe_event_id))).scalars())

    async def row(self, stripe_event_id: str) -> InboxRow:
        """Read one event."""
        async with self.database.reading() as reading:
            row = await find_event(reading, stripe_event_id)
        assert row is not None
        return row

    async def settle(self, stripe_event_id: str, state: int) -> None:
        """Let somebody have worked on an event."""
        statement = update(stripe_events).where(stripe_events.c.stripe_event_id == stripe_event_id)
        async with self.database.transaction() as tx:
            await tx.execute(statement.values(state=state))

    async def refuse(self, stripe_event_id: str) -> None:
        """Let the database refuse one event from now on."""
        when = f"BEFORE INSERT ON stripe_events WHEN NEW.stripe_event_id = '{stripe_event_id}'"
        async with self.database.transaction() as tx:
            await tx.exec_driver_sql(f"CREATE TRIGGER refusing {when} BEGIN SELECT RAISE(ABORT, 'no'); END")

    @contextmanager
    def away(self) -> Iterator[None]:
        """Let the database not take anything for a while: somebody else holds its write lock."""
        other = sqlite3.connect(self._file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")
            other.close()


@dataclass
class Driver:
    """A bridge that listens, and all around it."""

    bridge: Bridge
    receiver: Receiver
    inbox: Inbox
    waker: NotedWaker
    http: aiohttp.ClientSession

    @property
    def url(self) -> str:
        """Where Stripe posts to."""
        return f"{self.bridge.url}/webhooks/stripe"

    async def post(self, payload: bytes, **headers: str) -> tuple[int, Json]:
        """Post a body with these headers; underscores stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.http.post(self.url, data=io.BytesIO(payload), headers=named) as reply:
            return reply.status, await reply.json()

    async def deliver(self, body: Json) -> tuple[int, Json]:
        """Post an event as Stripe does."""
        payload = json.dumps(body).encode()
        return await self.post(payload, Stripe_Signature=signed(payload))

    async def get(self, path: str) -> tuple[int, str]:
        """Read a page."""
        async with self.http.get(f"{self.bridge.url}{path}") as reply:
            return reply.status, await reply.text()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection on which anything can be sent."""
        parts = urlsplit(self.bridge.url)
        return await asyncio.open_connection(parts.hostname, parts.port)

    async def exchange(self, request: bytes) -> bytes:
        """Send bytes and read until the bridge closes the connection."""
        reader, writer = await self.connect()
        writer.write(request)
        async with asyncio.timeout(WAIT_SECONDS):
            answer = await reader.read()
        writer.close()
        return answer


def raw_request(payload: bytes, *headers: str, path: str = "/webhooks/stripe") -> bytes:
    """Write a POST by hand."""
    lines = [f"POST {path} HTTP/1.1", "Host: bridge", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + payload


async def make_template(file: Path) -> None:
    """Make a database that tests copy: migrating takes longer than most of them."""
    async with open_database(f"sqlite+aiosqlite:///{file}") as database:
        await migrate(database)


@asynccontextmanager
async def open_inbox(file: Path) -> AsyncIterator[Inbox]:
    """Open a migrated database."""
    async with open_database(f"sqlite+aiosqlite:///{file}") as database:
        yield Inbox(database, file)


@asynccontextmanager
async def open_driver(
    inbox: Inbox,
    waker: NotedWaker,
    *,
    patience: float = 5.0,
    port: int = 0,
    request_seconds: float = REQUEST_SECONDS,
) -> AsyncIterator[Driver]:
    """Open a bridge over an inbox."""
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        open_gateway(StripeKey("sk_test_123456789", "http://127.0.0.1:9")) as gateway,
        open_receiver(inbox.database, now, patience) as receiver,
        aiohttp.ClientSession(connector=connector) as http,
        open_bridge(
            BridgeConfig("127.0.0.1", port, SECRETS, request_seconds),
            receiver=receiver,
            orders=OrderLookup(inbox.database, gateway, waker, now),
            waker=waker,
            clock=now,
        ) as bridge,
    ):
        yield Driver(bridge, receiver, inbox, waker, http)
