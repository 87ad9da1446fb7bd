"""How an attempt to fulfill has ended: pure values, which settlement writes down."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent
from payments_service.orders.states import FulfillmentState
from payments_service.storage.database import Connection
from payments_service.storage.fulfillment_rows import FulfillmentRow
from payments_service.storage.order_rows import OrderRow


@dataclass(frozen=True, slots=True)
class Outcome:
    """The fulfillment's next state, and the event that tells of it, if any does."""

    state: FulfillmentState
    occurrence: FulfillmentEvent.Type.ValueType | None
    result: dict[str, str] | None = None
    """What was produced; None keeps what is there."""
    error: str = ""
    retry_seconds: float | None = None
    revokes: bool = False
    """Whether it ends a revocation that was due."""

    @property
    def name(self) -> str:
        """What it is called where outcomes are counted."""
        return self.state.name if self.retry_seconds is None else "RETRIED"


LocalFulfiller = Callable[[Connection, OrderRow, FulfillmentRow, datetime], Awaitable[Outcome]]
"""A fulfiller that needs nothing but this database: it runs inside the transaction that settles it."""


def fulfilled(result: dict[str, str]) -> Outcome:
    """End well."""
    return Outcome(FulfillmentState.FULFILLED, FulfillmentEvent.TYPE_FULFILLED, result)


def failed(error: str) -> Outcome:
    """End for good: no attempt is left, an operator must look."""
    return Outcome(FulfillmentState.FAILED, FulfillmentEvent.TYPE_FULFILLMENT_FAILED, error=error)


def later(error: str, seconds: float, state: FulfillmentState = FulfillmentState.PENDING) -> Outcome:
    """Give it back until later; the log tells of outcomes, not of attempts."""
    return Outcome(state, None, error=error, retry_seconds=seconds)


def revoked() -> Outcome:
    """Have taken it back."""
    return Outcome(FulfillmentState.REVOKED, FulfillmentEvent.TYPE_REVOKED, revokes=True)
