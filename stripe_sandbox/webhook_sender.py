"""Delivers events: signed afresh at each attempt, many at once, tried again on the schedule until tries are used up.

A slow endpoint holds up nobody else's delivery; what was pending when the sandbox stopped is sent when it runs again.
"""

import asyncio
import hashlib
import hmac
import json
import logging
import time

import aiohttp

from stripe_sandbox.account import SandboxAccount
from stripe_sandbox.delivery_queue import AttemptResult, DueDelivery
from stripe_sandbox.wake_loop import run_wake_loop
from stripe_sandbox.webhook_targets import WebhookTarget

TIMEOUT_SECONDS = 10.0
_AT_ONCE = 64  # to each endpoint
_log = logging.getLogger(__name__)


class WebhookSender:
    """Runs while the application does."""

    def __init__(self, account: SandboxAccount) -> None:
        self._account = account
        self._session: aiohttp.ClientSession | None = None
        self._on_the_way: dict[str, dict[int, asyncio.Task[None]]] = {}
        self._loop: asyncio.Task[None] | None = None
        self._settled = asyncio.Condition()

    async def start(self) -> None:
        """Begin with what is pending."""
        connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        self._loop = asyncio.create_task(run_wake_loop(self._account.deliveries_due, self._send_due))

    async def stop(self) -> None:
        """Stop at once: an attempt that was under way is made again at the next start."""
        attempts = [task for tasks in self._on_the_way.values() for task in tasks.values()]
        stopping = [*attempts, *([self._loop] if self._loop else [])]
        for task in stopping:
            task.cancel()
        await asyncio.gather(*stopping, return_exceptions=True)
        if self._session:
            await self._session.close()

    async def delivered(self, event_id: str, seconds: float) -> bool:
        """Wait until every endpoint that has an address has taken an event, or the time is over."""
        addressed = [target.endpoint for target in self._account.targets.all() if target.url]
        try:
            async with asyncio.timeout(seconds), self._settled:
                await self._settled.wait_for(lambda: self._account.queue.taken_by(event_id, addressed))
        except TimeoutError:
            return False
        return True

    def _send_due(self) -> float | None:
        """Begin what is due, and tell in how many seconds the next delivery is."""
        now = self._account.clock.now()
        waits = [self._send_to(target, now) for target in self._account.targets.all() if target.url]
        return min((wait for wait in waits if wait is not None), default=None)

    def _send_to(self, target: WebhookTarget, now: float) -> float | None:
        queue, busy = self._account.queue, self._on_the_way.setdefault(target.endpoint, {})
        room = _AT_ONCE - len(busy)
        for delivery in queue.due(target.endpoint, now, busy, room) if room else []:
            busy[delivery.number] = asyncio.create_task(self._attempt(target, delivery))
        upcoming = queue.next_due(target.endpoint, now)
        return None if upcoming is None else upcoming - now

    async def _attempt(self, target: WebhookTarget, delivery: DueDelivery) -> None:
        try:
            result = await self._post(target, delivery)
            self._settle(delivery, result)
        finally:
            del self._on_the_way[delivery.endpoint][delivery.number]
            self._account.deliveries_due.set()
        async with self._settled:
            self._settled.notify_all()

    def _settle(self, delivery: DueDelivery, result: AttemptResult) -> None:
        schedule = self._account.config.retry_schedule
        over = delivery.attempts >= len(schedule)
        next_at = None if over else self._account.clock.now() + schedule[delivery.attempts]
        with self._account.ledger.transaction():
            self._account.queue.settle(delivery, result, next_at)
        if over and not result.accepted:
            _log.warning(
                "gave up delivering %s to %s after %d attempts: %s",
                *(delivery.event, delivery.endpoint, delivery.attempts + 1, result.error or result.status),
            )

    async def _post(self, target: WebhookTarget, delivery: DueDelivery) -> AttemptResult:
        begun, at = time.perf_counter(), self._account.clock.now()
        status, error = await self._answer(target, delivery)
        return AttemptResult(at, round((time.perf_counter() - begun) * 1000, 1), status, error)

    async def _answer(self, target: WebhookTarget, delivery: DueDelivery) -> tuple[int | None, str | None]:
        found = self._account.ledger.select_of_all("event", [("id = ?", delivery.event)], limit=1)
        if not found or self._session is None:
            return None, "the event is gone"
        body = json.dumps({**found[0], "pending_webhooks": 1}, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature_header(body, target.secret, int(self._account.clock.real())),
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks; sandbox)",
        }
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        try:
            async with self._session.post(
                target.url, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as answer:
                return answer.status, None
        except TimeoutError:
            return None, f"no answer in {TIMEOUT_SECONDS:.0f} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return None, f"{type(error).__name__}: {error}"


def signature_header(body: bytes, secret: str, timestamp: int) -> str:
    """Sign as Stripe does; the time is the real one, for receivers compare it with their own clock."""
    digest = hmac.new(secret.encode(), b"%d." % timestamp + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"
