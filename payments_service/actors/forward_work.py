"""Passes events on to one target: durable, with backoff for three days, and apart from every other target."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from urllib.parse import urlsplit

import structlog

from payments_service.actors.duty import Duty
from payments_service.forwarding.delivery import DeliveryFailedError, EventDelivery
from payments_service.observability.work_metrics import note_forward
from payments_service.retry_policy import RetryPolicy
from payments_service.storage.database import Database
from payments_service.storage.forward_rows import (
    DONE,
    FAILED,
    DueForward,
    claim_forwards,
    postpone_forward,
    settle_forward,
)
from payments_service.storage.lease_rows import Fence

ROUND_SECONDS = 0.5
LEASE_SECONDS = 60.0
TOGETHER = 4
GIVE_UP_AFTER = timedelta(days=3)
FORWARD_RETRIES = RetryPolicy(max_attempts=10_000, first_seconds=5.0, cap_seconds=3600.0)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ForwardWork:
    """One target's deliveries."""

    url: str
    database: Database
    delivery: EventDelivery
    clock: Callable[[], datetime]
    chance: Callable[[], float]

    @property
    def duty(self) -> Duty:
        """One worker's duty at a time, with a name of this target's own."""
        return Duty(f"forward_{sha256(self.url.encode()).hexdigest()[:16]}", ROUND_SECONDS, self._round)

    async def _round(self, _: Fence) -> None:
        while await self.forward_once() == TOGETHER:
            continue

    async def forward_once(self) -> int:
        """Deliver the oldest that are due, a few together; returns how many were tried."""
        async with self.database.transaction() as tx:
            due = await claim_forwards(tx, self.url, TOGETHER, LEASE_SECONDS)
        await asyncio.gather(*(self._deliver(forward) for forward in due))
        return len(due)

    async def _deliver(self, forward: DueForward) -> None:
        try:
            await self.delivery.post(forward.url, forward.payload)
        except DeliveryFailedError as error:
            await self._again(forward, error.message)
            return
        async with self.database.transaction() as tx:
            await settle_forward(tx, forward, {"state": DONE, "last_error": "", "settle_time": self.clock()})
        note_forward("delivered")
        _log.info("event.forwarded", stripe_event_id=forward.stripe_event_id, host=_host(forward.url))

    async def _again(self, forward: DueForward, error: str) -> None:
        told = {"stripe_event_id": forward.stripe_event_id, "host": _host(forward.url), "attempt": forward.attempts}
        if self.clock() - forward.create_time >= GIVE_UP_AFTER:
            async with self.database.transaction() as tx:
                ended = {"state": FAILED, "last_error": error, "settle_time": self.clock()}
                await settle_forward(tx, forward, ended)
            note_forward("given_up")
            _log.error("event.not_forwarded", error=error, **told)
            return
        seconds = FORWARD_RETRIES.delay(forward.attempts, self.chance)
        async with self.database.transaction() as tx:
            await postpone_forward(tx, forward, seconds, error)
        note_forward("retried")
        _log.warning("event.forward_failed", error=error, **told)


def forward_duties(
    urls: Iterable[str],
    database: Database,
    delivery: EventDelivery,
    clock: Callable[[], datetime],
    chance: Callable[[], float],
) -> list[Duty]:
    """Give each target its duty, so that a dead one delays no other."""
    return [ForwardWork(url, database, delivery, clock, chance).duty for url in urls]


def _host(url: str) -> str:
    return urlsplit(url).netloc
