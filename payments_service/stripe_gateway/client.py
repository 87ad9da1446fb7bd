"""Calls Stripe: every request has a deadline, every POST an idempotency key, and every failure one meaning.

Replies are Stripe's plain JSON, as webhooks bring it, so that one fold reads both; building the SDK's objects
costs 57 % of a call's CPU (reading/stripe.md 1.1).
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import stripe

from payments_service.observability.call_metrics import stripe_call
from payments_service.stripe_gateway.failures import Attempts, explain_failure

CONNECT_SECONDS = 5.0
REQUEST_SECONDS = 20.0
NETWORK_RETRIES = 2
"""The SDK's default is none; it repeats with the same idempotency key."""
SESSIONS = "/v1/checkout/sessions"
PAGE = 100
Json = dict[str, Any]

_attempts: ContextVar[Attempts] = ContextVar("stripe_attempts")


@dataclass(frozen=True, slots=True)
class StripeKey:
    """What a call is made with; the account is empty for our own."""

    secret: str = field(repr=False)
    api_base: str = ""

    @property
    def livemode(self) -> bool:
        """Whether real money moves."""
        return "_live_" in self.secret


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of Stripe's, and what it says beside it."""

    data: Json
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class EventPage:
    """A page of Stripe's events, newest first, and what time it was there."""

    events: list[Json]
    has_more: bool
    told_time: datetime | None
    """By Stripe's clock; None where something on the way left it out."""


class StripeGateway:
    """Stripe's API, as far as this service asks it anything."""

    def __init__(self, client: stripe.StripeClient, *, livemode: bool) -> None:
        """Take a client that is open."""
        self._client = client
        self.livemode = livemode

    async def create_session(
        self, parameters: Mapping[str, Any], *, idempotency_key: str, account: str, budget: float
    ) -> Json:
        """Make a checkout session; the same key and parameters give the same one for 24 hours."""
        options = {"idempotency_key": idempotency_key, **_on_account(account)}
        return await self._call("create_session", "post", SESSIONS, {**parameters, **options}, budget)

    async def retrieve_session(self, session_id: str, /, *, account: str, budget: float) -> Json:
        """Read a session as it is now."""
        return await self._call("retrieve_session", "get", f"{SESSIONS}/{session_id}", _on_account(account), budget)

    async def expire_session(self, session_id: str, *, idempotency_key: str, account: str, budget: float) -> Json:
        """Close an open session; one that is not open is refused, so that a new key is safe each time."""
        options = {"idempotency_key": idempotency_key, **_on_account(account)}
        return await self._call("expire_session", "post", f"{SESSIONS}/{session_id}/expire", options, budget)

    async def retrieve_subscription(self, subscription_id: str, *, account: str, budget: float) -> Json:
        """Read a subscription as it is now."""
        return await self._call(
            "retrieve_subscription", "get", f"/v1/subscriptions/{subscription_id}", _on_account(account), budget
        )

    async def retrieve_invoice(self, invoice_id: str, /, *, account: str, budget: float) -> Json:
        """Read an invoice as it is now."""
        return await self._call("retrieve_invoice", "get", f"/v1/invoices/{invoice_id}", _on_account(account), budget)

    async def list_invoice_payments(self, invoice_id: str, *, account: str, budget: float) -> list[Json]:
        """List which payments have paid an invoice."""
        asked = {"invoice": invoice_id, "status": "paid", "limit": 100, **_on_account(account)}
        return [
            dict(row)
            for row in (await self._call("list_invoice_payments", "get", "/v1/invoice_payments", asked, budget))["data"]
        ]

    async def create_refund(
        self, parameters: Mapping[str, Any], *, idempotency_key: str, account: str, budget: float
    ) -> Json:
        """Give money back; the same key and parameters are one refund for 24 hours."""
        options = {"idempotency_key": idempotency_key, **_on_account(account)}
        return await self._call("create_refund", "post", "/v1/refunds", {**parameters, **options}, budget)

    async def cancel_subscription(
        self, subscription_id: str, *, idempotency_key: str, account: str, budget: float
    ) -> Json:
        """End a subscription now."""
        options = {"idempotency_key": idempotency_key, **_on_account(account)}
        return await self._call(
            "cancel_subscription", "delete", f"/v1/subscriptions/{subscription_id}", options, budget
        )

    async def schedule_cancellation(
        self, subscription_id: str, *, idempotency_key: str, account: str, budget: float
    ) -> Json:
        """End a subscription when the period that is paid for is over."""
        options = {"idempotency_key": idempotency_key, **_on_account(account)}
        asked = {"cancel_at_period_end": True, **options}
        return await self._call("schedule_cancellation", "post", f"/v1/subscriptions/{subscription_id}", asked, budget)

    async def list_refunds(
        self, *, charge_id: str = "", payment_intent_id: str = "", account: str, budget: float
    ) -> list[Json]:
        """List the refunds of a charge or payment, the newest hundred."""
        named = {"charge": charge_id} if charge_id else {"payment_intent": payment_intent_id}
        asked = {**named, "limit": 100, **_on_account(account)}
        return [dict(row) for row in (await self._call("list_refunds", "get", "/v1/refunds", asked, budget))["data"]]

    async def list_events(
        self, *, since: datetime, until: datetime, starting_after: str, account: str, budget: float
    ) -> EventPage:
        """List a page of the events from a second to before another, newest first; Stripe lists the last 30 days."""
        asked: Json = {
            "created": {"gte": int(since.timestamp()), "lt": int(until.timestamp())},
            "limit": 100,
            **({"starting_after": starting_after} if starting_after else {}),
            **_on_account(account),
        }
        answer = await self._ask("list_events", "get", "/v1/events", asked, budget)
        return EventPage([dict(event) for event in answer.data["data"]], answer.data["has_more"], _time_of(answer))

    async def find_session(
        self, order_id: str, *, since: datetime, until: datetime, account: str, budget: float
    ) -> Json | None:
        """Look through the sessions made between two times for the one of this order; None where it is not there."""
        end = asyncio.get_running_loop().time() + budget
        created = {"gte": int(since.timestamp()), "lte": int(until.timestamp()) + 1}
        page: Json = {"created": created, "limit": PAGE, **_on_account(account)}
        while True:
            found = await self._call("find_session", "get", SESSIONS, page, end - asyncio.get_running_loop().time())
            for session in found["data"]:
                if session.get("client_reference_id") == order_id:
                    return dict(session)
            if not found["has_more"]:
                return None
            page["starting_after"] = found["data"][-1]["id"]

    async def look(self, path: str, parameters: Json, *, account: str, budget: float) -> Reply:
        """Read anything, with what Stripe says beside it; for whoever examines an installation."""
        return await self._ask("look", "get", path, {**parameters, **_on_account(account)}, budget)

    async def _call(self, operation: str, method: str, path: str, parameters: Json, budget: float) -> Json:
        return (await self._ask(operation, method, path, parameters, budget)).data

    async def _ask(self, operation: str, method: str, path: str, parameters: Json, budget: float) -> Reply:
        attempts = Attempts(writes=method != "get")
        _attempts.set(attempts)
        with stripe_call(operation):
            try:
                async with asyncio.timeout(min(budget, REQUEST_SECONDS)):
                    response = await self._client.raw_request_async(method, path, **parameters)
                return Reply(_object(response.data), response.headers)
            except (stripe.StripeError, TimeoutError) as error:
                raise explain_failure(error, attempts) from error


class _WatchedClient(stripe.AIOHTTPClient):
    """Notes which answers came, and makes the SDK's error of a reply that broke off, so that it is tried again."""

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: object = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        try:
            body, status, answer_headers = await super().request_async(method, url, headers, post_data)
        except aiohttp.ClientError as error:
            broken = stripe.APIConnectionError("The reply broke off.", should_retry=True)  # type: ignore[no-untyped-call]
            raise broken from error
        _attempts.get().answered(status)
        return body, status, answer_headers


@asynccontextmanager
async def open_gateway(key: StripeKey) -> AsyncIterator[StripeGateway]:
    """Open the connections to Stripe, or to what stands in for it on loopback."""
    # The SDK would write a telemetry id below HOME, and fail where there is none.
    stripe.enable_telemetry = False
    timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS, sock_connect=CONNECT_SECONDS)
    connector = aiohttp.TCPConnector(ssl=True if key.api_base else _trusted())
    async with aiohttp.ClientSession(connector=connector, trace_configs=[_trace()]) as session:
        client = stripe.StripeClient(
            key.secret,
            http_client=_WatchedClient(timeout=timeout, session=session),
            max_network_retries=NETWORK_RETRIES,
            base_addresses={"api": key.api_base} if key.api_base else {},
        )
        yield StripeGateway(client, livemode=key.livemode)


def _trusted() -> ssl.SSLContext:
    """Trust whom the SDK trusts, also on a machine that has no certificates of its own."""
    return ssl.create_default_context(cafile=stripe.ca_bundle_path)


def _trace() -> aiohttp.TraceConfig:
    """Notice the moment from which Stripe may have heard a request: until then there is only a connection."""

    async def leaving(_: aiohttp.ClientSession, __: object, ___: aiohttp.TraceRequestHeadersSentParams) -> None:
        _attempts.get().sent()

    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(leaving)
    return trace


def _on_account(account: str) -> Json:
    return {"stripe_account": account} if account else {}


def _time_of(answer: Reply) -> datetime | None:
    try:
        return parsedate_to_datetime(answer.headers["date"])
    except (KeyError, ValueError):
        return None


def _object(data: object) -> Json:
    if not isinstance(data, dict):
        raise stripe.APIError("The reply is no JSON object.")
    return data
