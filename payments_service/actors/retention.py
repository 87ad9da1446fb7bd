"""Forgets what is past its time, a batch a transaction, so that nobody waits for it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from payments_service.orders.states import StripeEventState
from payments_service.storage.database import Connection, Database
from payments_service.storage.lease_rows import Fence, require_duty
from payments_service.storage.retention_rows import BATCH, delete_events, trim_log, trim_payloads

ROUND_SECONDS = 600.0
LISTED_FOR = timedelta(days=35)
"""Longer than Stripe lists an event, after its payload was trimmed: its id must not look new to the reconciler."""
SETTLED = (StripeEventState.APPLIED, StripeEventState.UNCLAIMED, StripeEventState.IGNORED)
_log = structlog.get_logger(__name__)
Step = Callable[[Connection], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Retention:
    """Trims payloads, then whole events, and the log."""

    database: Database
    keep: timedelta
    clock: Callable[[], datetime]

    async def trim(self, fence: Fence) -> dict[str, int]:
        """Trim all that is due; what failed or still waits is never touched."""
        before = self.clock() - self.keep
        trimmed = {
            "payloads": await self._all(fence, lambda tx: trim_payloads(tx, SETTLED, before)),
            "events": await self._all(fence, lambda tx: delete_events(tx, SETTLED, before - LISTED_FOR)),
            "log": await self._all(fence, lambda tx: trim_log(tx, before)),
        }
        if any(trimmed.values()):
            _log.info("retention.trimmed", **trimmed)
        return trimmed

    async def _all(self, fence: Fence, step: Step) -> int:
        total, done = 0, BATCH
        while done == BATCH:
            async with self.database.transaction() as tx:
                await require_duty(tx, fence)
                done = await step(tx)
            total += done
        return total
