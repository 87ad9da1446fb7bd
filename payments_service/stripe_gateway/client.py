"""Calls Stripe: every request has a deadline, every POST an idempotency key, and every failure one meaning.

Replies are Stripe's plain JSON, as webhooks bring it, so that one fold reads both; building the SDK's objects
costs 57 % of a call's CPU (reading/stripe.md 1.1).
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp
import stripe

from payments_service.stripe_gateway.failures import Attempts, explain_failure

CONNECT_SECONDS = 5.0
REQUEST_SECONDS = 20.0
NETWORK_RETRIES = 2
"""The SDK's default is none; it repeats with the same idempotency key."""
SESSIONS = "/v1/checkout/sessions"
Json = dict[str, Any]

_attempts: ContextVar[Attempts] = ContextVar("stripe_attempts")


@dataclass(frozen=True, slots=True)
class StripeKey:
    """What a call is made with; the account is empty for our own."""

    secret: str
    api_base: str = ""

    @property
    def livemode(self) -> bool:
        """Whether real money moves."""
        return "_live_" in self.secret


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
        return await self._call("post", SESSIONS, {**parameters, **options}, budget)

    async def retrieve_session(self, session_id: str, *, account: str, budget: float) -> Json:
        """Read a session as it is now."""
        return await self._call("get", f"{SESSIONS}/{session_id}", _on_account(account), budget)

    async def expire_session(self, session_id: str, *, account: str, budget: float) -> Json:
        """Close an open session; safe to repeat, a session that is not open is refused."""
        options = {"idempotency_key": f"{session_id}-expire", **_on_account(account)}
        return await self._call("post", f"{SESSIONS}/{session_id}/expire", options, budget)

    async def find_session(
        self, order_id: str, *, since: datetime, until: datetime, account: str, budget: float
    ) -> Json | None:
        """Look through the sessions of a time for the one that carries this order's id; None proves there is none."""
        window = {"created": {"gte": int(since.timestamp()) - 1, "lte": int(until.timestamp()) + 1}, "limit": 100}
        async with asyncio.timeout(budget):
            after: Json = {}
            while True:
                page = await self._call("get", SESSIONS, {**window, **after, **_on_account(account)}, budget)
                for session in page["data"]:
                    if session.get("client_reference_id") == order_id:
                        return dict(session)
                if not page["has_more"]:
                    return None
                after = {"starting_after": page["data"][-1]["id"]}

    async def _call(self, method: str, path: str, parameters: Json, budget: float) -> Json:
        attempts = Attempts(writes=method == "post")
        _attempts.set(attempts)
        try:
            async with asyncio.timeout(min(budget, REQUEST_SECONDS)):
                response = await self._client.raw_request_async(method, path, **parameters)
        except (stripe.StripeError, TimeoutError) as error:
            raise explain_failure(error, attempts) from error
        return dict(response.data)


class _WatchedClient(stripe.AIOHTTPClient):
    """Notes whether any attempt may have reached Stripe: a later refusal to connect does not undo it."""

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: object = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        attempts = _attempts.get()
        attempts.in_doubt += 1
        try:
            body, status, answer_headers = await super().request_async(method, url, headers, post_data)
        except stripe.APIConnectionError as error:
            if isinstance(error.__cause__, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)):
                attempts.in_doubt -= 1
            raise
        except aiohttp.ClientPayloadError as error:
            cut_off = stripe.APIConnectionError("The reply was cut off.", should_retry=True)  # type: ignore[no-untyped-call]
            raise cut_off from error
        if status < 500 and status != 409:
            attempts.in_doubt -= 1
        return body, status, answer_headers


@asynccontextmanager
async def open_gateway(key: StripeKey) -> AsyncIterator[StripeGateway]:
    """Open the connections to Stripe, or to what stands in for it on loopback."""
    # The SDK would write a telemetry id below HOME, and fail where there is none.
    stripe.enable_telemetry = False
    timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS, sock_connect=CONNECT_SECONDS)
    async with aiohttp.ClientSession() as session:
        client = stripe.StripeClient(
            key.secret,
            http_client=_WatchedClient(timeout=timeout, session=session),
            max_network_retries=NETWORK_RETRIES,
            base_addresses={"api": key.api_base} if key.api_base else {},
        )
        yield StripeGateway(client, livemode=key.livemode)


def _on_account(account: str) -> Json:
    return {"stripe_account": account} if account else {}
