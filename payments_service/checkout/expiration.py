"""ExpireCheckout: an open checkout is closed at Stripe, so that nobody can pay it any more.

A buyer who pays at the same moment wins: Stripe decides, and its answer is folded whatever it is.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from payments_service.checkout.call_deadline import CallDeadline
from payments_service.checkout.order_view import view_order
from payments_service.checkout.session_recorder import SessionRecorder
from payments_service.contract.pb.payments.v1.order_pb2 import Order
from payments_service.errors import (
    CheckoutNotOpenError,
    OrderNotFoundError,
    StripeError,
    StripeOutcomeUnknownError,
    StripeRejectedError,
)
from payments_service.identifiers import new_id
from payments_service.inbox.waker import Waker
from payments_service.orders.states import PaymentState
from payments_service.scope import Scope
from payments_service.storage.database import Database
from payments_service.storage.order_rows import OrderRow, find_order
from payments_service.stripe_gateway.client import StripeGateway


class CheckoutExpiration:
    """Closes checkouts; one that has expired already is the same success."""

    def __init__(self, database: Database, gateway: StripeGateway, waker: Waker, clock: Callable[[], datetime]) -> None:
        """Take Stripe, and whom to wake."""
        self._database = database
        self._gateway = gateway
        self._recorder = SessionRecorder(database, waker, clock)

    async def expire(self, order_id: str, scope: Scope, *, budget: float) -> Order:
        """Close the order's checkout; raises CheckoutNotOpenError where it was paid or never opened."""
        deadline = CallDeadline(budget)
        async with self._database.reading() as reading:
            order = await find_order(reading, order_id, scope)
        if order is None:
            raise OrderNotFoundError(f"There is no order {order_id!r}.", order_id=order_id)
        if order.payment_state == PaymentState.OPEN:
            session = await self._close(order, deadline)
            order = await self._recorder.record(order_id, session, _summary(session))
        if order.payment_state != PaymentState.EXPIRED:
            state = PaymentState(order.payment_state).name
            raise CheckoutNotOpenError(
                f"The checkout of {order_id} is {state}, and only an open one can be expired.", state=state
            )
        return await view_order(self._database, order)

    async def _close(self, order: OrderRow, deadline: CallDeadline) -> dict[str, Any]:
        """Give the session as it is after the try, closed by it or settled otherwise before it."""
        session_id = order.checkout_session_id or ""
        try:
            return await self._gateway.expire_session(
                session_id,
                idempotency_key=new_id(f"{session_id}-expire"),
                account=order.stripe_account,
                budget=deadline.for_stripe(),
            )
        except (StripeRejectedError, StripeOutcomeUnknownError) as error:
            session = await self._read(order, deadline)
            if session is None or session["status"] == "open":
                raise _named(order, error) from error
            return session

    async def _read(self, order: OrderRow, deadline: CallDeadline) -> dict[str, Any] | None:
        try:
            return await self._gateway.retrieve_session(
                order.checkout_session_id or "", account=order.stripe_account, budget=deadline.for_stripe()
            )
        except StripeError:
            return None


def _summary(session: dict[str, Any]) -> str:
    closed = session["status"] == "expired"
    return "closed the checkout session" if closed else "did not close the checkout session: it was completed before"


def _named(order: OrderRow, error: StripeError) -> StripeError:
    if isinstance(error, StripeOutcomeUnknownError):
        return StripeOutcomeUnknownError(f"{error.message} It is safe to repeat.", order_id=order.order_id)
    return error
