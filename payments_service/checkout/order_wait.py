"""WaitOrder: an order's state at once, and each change, until it is settled; Stripe is asked when its webhook is late.

Nothing is kept for a waiter but its call: it looks at the row, rarely and more rarely, and at once when the log grows.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from payments_service.checkout.lookup import OrderLookup
from payments_service.contract.pb.payments.v1.order_pb2 import FulfillmentState, Order, PaymentState
from payments_service.contract.pb.payments.v1.payments_pb2 import WaitOrderRequest, WaitOrderResponse
from payments_service.errors import DrainingError, FieldViolation, InvalidRequestError, StripeError
from payments_service.scope import Scope

DEFAULT_SECONDS, MOST_SECONDS = 60.0, 600.0
FIRST_LOOK_SECONDS, LONGEST_LOOK_SECONDS = 0.1, 1.0
LATE_SECONDS = 3.0
"""How long a webhook may take before Stripe is asked, and again between two questions."""
ASK_SECONDS = 10.0
_NEVER = frozenset(
    {
        PaymentState.PAYMENT_STATE_FAILED,
        PaymentState.PAYMENT_STATE_EXPIRED,
        PaymentState.PAYMENT_STATE_REJECTED,
    }
)
_UNPAID = frozenset(
    {
        PaymentState.PAYMENT_STATE_CREATING,
        PaymentState.PAYMENT_STATE_OPEN,
        PaymentState.PAYMENT_STATE_AWAITING_FUNDS,
    }
)
_FULFILLED = frozenset(
    {
        FulfillmentState.FULFILLMENT_STATE_FULFILLED,
        FulfillmentState.FULFILLMENT_STATE_FAILED,
        FulfillmentState.FULFILLMENT_STATE_REVOKED,
    }
)


def is_settled(order: Order, until: WaitOrderRequest.Until.ValueType) -> bool:
    """Say whether what is waited for has come, or can no longer come."""
    if order.payment_state in _NEVER:
        return True
    if order.payment_state in _UNPAID:
        return False
    return until == WaitOrderRequest.UNTIL_PAID or order.fulfillment_state in _FULFILLED


@dataclass(frozen=True, slots=True)
class OrderWait:
    """Waits on behalf of return pages and callers, in any process."""

    lookup: OrderLookup
    growth: Callable[[], asyncio.Event]
    """The event that is set when this process next sees the log grow, or is about to stop; a hint."""
    draining: Callable[[], bool]
    monotonic: Callable[[], float] = time.monotonic

    async def responses(self, request: WaitOrderRequest, scope: Scope) -> AsyncIterator[WaitOrderResponse]:
        """Give the present state, and each later one; ends when settled or when the time is over."""
        end = self.monotonic() + wait_seconds(request)
        asked = self.monotonic()
        look = FIRST_LOOK_SECONDS
        shown: Order | None = None
        while True:
            grown = self.growth()
            late = self.monotonic() - asked >= LATE_SECONDS
            order = await self._read(request, scope, late=late)
            asked = self.monotonic() if late else asked
            settled = is_settled(order, request.until)
            if order != shown:
                yield WaitOrderResponse(order=order, settled=settled)
                shown, look = order, FIRST_LOOK_SECONDS
            left = end - self.monotonic()
            if settled or left <= 0:
                return
            if self.draining():
                raise DrainingError("This process is about to stop: wait for the order elsewhere.")
            await _pause(grown, min(look, left))
            look = min(look * 1.5, LONGEST_LOOK_SECONDS)

    async def _read(self, request: WaitOrderRequest, scope: Scope, *, late: bool) -> Order:
        """Read the order; where its webhook is late, ask Stripe, and do without where that fails."""
        try:
            return await self._get(request, scope, refresh=late)
        except StripeError:
            return await self._get(request, scope, refresh=False)

    async def _get(self, request: WaitOrderRequest, scope: Scope, *, refresh: bool) -> Order:
        return await self.lookup.get(
            order_id=request.order_id,
            session_id=request.checkout_session_id,
            scope=scope,
            refresh=refresh,
            budget=ASK_SECONDS,
        )


def require_wait(request: WaitOrderRequest) -> None:
    """Raise InvalidRequestError for what cannot be waited for, before the first response."""
    wait_seconds(request)


def wait_seconds(request: WaitOrderRequest) -> float:
    """Read how long to wait; raises InvalidRequestError."""
    if request.until not in WaitOrderRequest.Until.values():
        raise InvalidRequestError([FieldViolation("until", "is none of the contract's values")])
    seconds = request.max_wait.ToTimedelta().total_seconds()
    if not 0 <= seconds <= MOST_SECONDS:
        raise InvalidRequestError([FieldViolation("max_wait", "must be at most 10 minutes; 0 means 60 s")])
    return seconds or DEFAULT_SECONDS


async def _pause(grown: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await grown.wait()
    except TimeoutError:
        return
