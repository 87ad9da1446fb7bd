"""The second actor's work: one attempt at one fulfillment, told in one log line; it never raises."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import structlog

from payments_service.errors import StorageUnavailableError
from payments_service.fulfillment.attempt import ALL, FulfillmentAttempts, Share
from payments_service.fulfillment.settlement import AttemptLostError
from payments_service.inbox.waker import Waker
from payments_service.observability.work_metrics import note_outcome
from payments_service.orders.states import FulfillmentState

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FulfillmentWork:
    """Works on fulfillments; any number of processes may do so at the same time."""

    attempts: FulfillmentAttempts
    waker: Waker
    share: Share = ALL
    hand_on: Callable[[str], None] | None = None
    """Where a wake-up goes for which there was nothing to do here: it may be a plug-in's."""

    async def work(self, fulfillment_id: str) -> None:
        """Make an attempt if one is due."""
        began = perf_counter()
        try:
            attempted = await self.attempts.attempt(fulfillment_id, self.share)
        except (AttemptLostError, StorageUnavailableError) as error:
            _log.warning("fulfillment.not_settled", fulfillment_id=fulfillment_id, error=error.message)
            return
        except Exception:
            _log.exception("fulfillment.attempt_failed", fulfillment_id=fulfillment_id)
            return
        if attempted is None:
            if self.hand_on is not None:
                self.hand_on(fulfillment_id)
            return
        self.waker.poke_log()
        for due in attempted.due_fulfillment_ids:
            self.waker.wake_fulfillment(due)
        outcome, seconds = attempted.outcome, perf_counter() - began
        note_outcome(attempted.fulfillment.purchase_type, outcome.name, seconds)
        log = _log.error if outcome.state is FulfillmentState.FAILED else _log.info
        log(
            "fulfillment.attempted",
            fulfillment_id=fulfillment_id,
            order_id=attempted.fulfillment.order_id,
            type=attempted.fulfillment.purchase_type,
            state=outcome.state.name,
            error=outcome.error,
            attempt=attempted.fulfillment.attempts,
            milliseconds=round(seconds * 1000, 1),
        )
