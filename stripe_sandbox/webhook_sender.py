"""Delivers events: signed afresh at each attempt, many at once, tried again on the schedule until tries are used up.

A slow endpoint holds up nobody else's delivery; what was pending when the sandbox stopped is sent when it runs again.
"""

import asyncio
import hashlib
import hmac
import json
import time

import aiohttp

from stripe_sandbox.account import SandboxAccount
from stripe_sandbox.delivery_queue import AttemptResult, DeliveryQueue, DueDelivery
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.wake_loop import run_wake_loop

TIMEOUT_SECONDS = 10.0
_AT_ONCE = 64


class WebhookSender:
    """Runs while the application does."""

    def __init__(self, account: SandboxAccount) -> None:
        self._account = account
        self._session: aiohttp.ClientSession | None = None
        self._on_the_way: dict[int, asyncio.Task[None]] = {}
        self._loop: asyncio.Task[None] | None = None
        self._settled = asyncio.Condition()

    async def start(self) -> None:
        """Begin with what is pending."""
        connector = aiohttp.TCPConnector(limit=_AT_ONCE)
        self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        self._loop = asyncio.create_task(run_wake_loop(self._account.deliveries_due, self._send_due))

    async def stop(self) -> None:
        """Stop at once: an attempt that was under way is made again at the next start."""
        tasks = [*self._on_the_way.values(), *([self._loop] if self._loop else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session:
            await self._session.close()

    async def delivered(self, event_id: str, seconds: float) -> bool:
        """Wait until every endpoint has taken an event, or the time is over."""
        try:
            async with asyncio.timeout(seconds), self._settled:
                await self._settled.wait_for(lambda: self._account.queue.pending(event_id) == 0)
        except TimeoutError:
            return False
        return True

    def _send_due(self) -> float | None:
        queue, now = self._account.queue, self._account.clock.now()
        room = _AT_ONCE - len(self._on_the_way)
        for delivery in queue.due(now, list(self._on_the_way), room) if room else []:
            task = asyncio.create_task(self._attempt(delivery))
            self._on_the_way[delivery.number] = task
        upcoming = queue.next_due(now)
        return None if upcoming is None else upcoming - now

    async def _attempt(self, delivery: DueDelivery) -> None:
        try:
            result = await self._post(delivery)
            self._settle(delivery, result)
        finally:
            del self._on_the_way[delivery.number]
            self._account.deliveries_due.set()
        async with self._settled:
            self._settled.notify_all()

    def _settle(self, delivery: DueDelivery, result: AttemptResult) -> None:
        schedule = self._account.config.retry_schedule
        over = delivery.attempts >= len(schedule)
        next_at = None if over else self._account.clock.now() + schedule[delivery.attempts]
        with self._account.ledger.transaction():
            self._account.queue.settle(delivery, result, next_at)

    async def _post(self, delivery: DueDelivery) -> AttemptResult:
        begun, at = time.perf_counter(), self._account.clock.now()
        status, error = await self._answer(delivery)
        return AttemptResult(at, round((time.perf_counter() - begun) * 1000, 1), status, error)

    async def _answer(self, delivery: DueDelivery) -> tuple[int | None, str | None]:
        url, secret = self._address(delivery.endpoint)
        event = self._account.ledger.find("event", delivery.event)
        if not url or event is None or self._session is None:
            return None, "no address: the endpoint was removed, or has no URL yet"
        body = json.dumps({**event, "pending_webhooks": 1}, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature_header(body, secret, int(self._account.clock.real())),
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks; sandbox)",
        }
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        try:
            async with self._session.post(
                url, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as answer:
                await answer.read()
                return answer.status, None
        except TimeoutError:
            return None, f"no answer in {TIMEOUT_SECONDS:.0f} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return None, f"{type(error).__name__}: {error}"

    def _address(self, endpoint: str) -> tuple[str, str]:
        if endpoint == DeliveryQueue.CONFIGURED:
            secrets = self._account.config.webhook_secrets
            return (self._account.webhook_url, secrets[0]) if secrets else ("", "")
        made: JsonObject = self._account.ledger.find("webhook_endpoint", endpoint) or {}
        return made.get("url", ""), made.get("secret", "")


def signature_header(body: bytes, secret: str, timestamp: int) -> str:
    """Sign as Stripe does; the time is the real one, for receivers compare it with their own clock."""
    digest = hmac.new(secret.encode(), b"%d." % timestamp + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"
