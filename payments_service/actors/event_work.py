"""The first actor's work: take one event of the inbox, apply it, and wake what came of it; it never raises.

Attempts are counted when the row is claimed, so that an event which kills its process runs out of them.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter

import structlog

from payments_service.errors import StorageUnavailableError, StripeError
from payments_service.inbox.api_versions import ApiVersionWatch
from payments_service.inbox.enquiry import Enquiry
from payments_service.inbox.event_application import OPEN_STATES, Applied, ClaimLostError, apply_event
from payments_service.inbox.waker import Waker
from payments_service.observability.metric_registry import OTHER
from payments_service.observability.work_metrics import note_event_attempt, note_verdict
from payments_service.orders.facts_join import StaleReadingError
from payments_service.orders.observation import FOLDED_TYPES
from payments_service.orders.states import StripeEventState
from payments_service.orders.verdict import ClaimRules
from payments_service.retry_policy import RetryPolicy
from payments_service.storage.database import Database
from payments_service.storage.inbox_rows import InboxRow, claim_event, postpone_event, settle_event

LEASE_SECONDS = 15.0
"""What a worker that dies in the midst of an event delays it by."""
APPLY_SECONDS = 12.0
MAX_ERROR = 500
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EventWork:
    """Works on events; any number of processes may do so at the same time."""

    database: Database
    enquiry: Enquiry
    waker: Waker
    rules: ClaimRules
    retries: RetryPolicy
    clock: Callable[[], datetime]
    chance: Callable[[], float]
    versions: ApiVersionWatch = field(default_factory=ApiVersionWatch)

    async def work(self, stripe_event_id: str) -> None:
        """Apply the event if it is due and nobody's; what fails is tried again later, at last FAILED."""
        began = perf_counter()
        try:
            async with self.database.at_once() as writing:
                claimed = await claim_event(writing, stripe_event_id, OPEN_STATES, LEASE_SECONDS)
            if claimed is not None:
                self.versions.see(claimed.api_version, stripe_event_id)
                outcome = await self._apply(claimed, began)
                note_event_attempt(outcome, perf_counter() - began)
        except StorageUnavailableError as error:
            note_event_attempt("unavailable", perf_counter() - began)
            # The lease runs out, or was never taken: the sweep comes back to it.
            _log.warning("event.not_applied", stripe_event_id=stripe_event_id, error=error.message)

    async def _apply(self, claimed: InboxRow, began: float) -> str:
        """Make the attempt; returns how it ended, in the word by which it is counted."""
        if claimed.attempts > self.retries.max_attempts:
            return await self._fail(claimed, claimed.last_error or "The last attempt did not end: its process died.")
        try:
            async with asyncio.timeout(APPLY_SECONDS):
                applied = await self._ask_and_apply(claimed)
        except (ClaimLostError, StorageUnavailableError) as error:
            _log.warning("event.not_applied", stripe_event_id=claimed.stripe_event_id, error=error.message)
            return "lost" if isinstance(error, ClaimLostError) else "unavailable"
        except (StaleReadingError, StripeError) as error:
            _log.warning("event.not_applied", stripe_event_id=claimed.stripe_event_id, error=error.message)
            return await self._later(claimed, error.message)
        except TimeoutError:
            late = f"It was not applied within {APPLY_SECONDS:.0f} s."
            _log.warning("event.not_applied", stripe_event_id=claimed.stripe_event_id, error=late)
            return await self._later(claimed, late)
        except Exception as error:
            _log.exception("event.attempt_failed", stripe_event_id=claimed.stripe_event_id, attempt=claimed.attempts)
            return await self._later(claimed, f"{type(error).__name__}: {error}"[:MAX_ERROR])
        self._wake(applied)
        self._note(claimed, applied.verdict.state)
        _tell(claimed, applied, began)
        return "settled"

    async def _ask_and_apply(self, claimed: InboxRow) -> Applied:
        answers = await self.enquiry.ask(claimed)
        return await self.database.run(lambda tx: apply_event(tx, claimed, answers, self.rules, self.clock()))

    def _wake(self, applied: Applied) -> None:
        self.waker.poke_log()
        for fulfillment_id in applied.due_fulfillment_ids:
            self.waker.wake_fulfillment(fulfillment_id)

    def _note(self, claimed: InboxRow, verdict: StripeEventState) -> None:
        now, known = self.clock(), claimed.type if claimed.type in FOLDED_TYPES else OTHER
        note_verdict(verdict.name, known, now - claimed.stripe_create_time, now - claimed.receive_time)

    async def _later(self, claimed: InboxRow, error: str) -> str:
        if self.retries.is_last(claimed.attempts):
            return await self._fail(claimed, error)
        seconds = self.retries.delay(claimed.attempts, self.chance)
        async with self.database.transaction() as tx:
            await postpone_event(tx, claimed.stripe_event_id, claimed.claim_epoch, seconds, {"last_error": error})
        return "retried"

    async def _fail(self, claimed: InboxRow, error: str) -> str:
        values = {
            "state": StripeEventState.FAILED,
            "verdict_reason": f"{claimed.attempts} attempts are used up",
            "last_error": error,
            "settle_time": self.clock(),
            "next_attempt_time": None,
        }
        async with self.database.transaction() as tx:
            await settle_event(tx, claimed.stripe_event_id, claimed.claim_epoch, values)
        self._note(claimed, StripeEventState.FAILED)
        _log.error("event.failed", stripe_event_id=claimed.stripe_event_id, type=claimed.type, error=error)
        return "failed"


def _tell(claimed: InboxRow, applied: Applied, began: float) -> None:
    _log.info(
        "event.settled",
        stripe_event_id=claimed.stripe_event_id,
        type=claimed.type,
        verdict=applied.verdict.state.name,
        reason=applied.verdict.reason,
        order_id=applied.after.order_id if applied.after else "",
        attempt=claimed.attempts,
        milliseconds=round((perf_counter() - began) * 1000, 1),
    )
