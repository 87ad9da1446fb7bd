"""GetOrder: an order as it is here, or, where it is not settled and the caller asks for it, as Stripe knows it now.

What Stripe answers goes through the same fold as its webhooks; when Stripe does not answer, that is said.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from payments_service.checkout.call_deadline import CallDeadline
from payments_service.checkout.order_view import view_order
from payments_service.checkout.session_recorder import SessionRecorder
from payments_service.checkout.session_search import search_session
from payments_service.contract.pb.payments.v1.order_pb2 import Order
from payments_service.errors import FieldViolation, InvalidRequestError, OrderNotFoundError
from payments_service.inbox.waker import Waker
from payments_service.orders.states import PaymentState
from payments_service.scope import Scope
from payments_service.storage.database import Database
from payments_service.storage.order_rows import OrderRow, find_by_session, find_order
from payments_service.stripe_gateway.client import StripeGateway

UNSETTLED = frozenset({PaymentState.OPEN, PaymentState.AWAITING_FUNDS})


class OrderLookup:
    """Finds orders within a caller's scope."""

    def __init__(self, database: Database, gateway: StripeGateway, waker: Waker, clock: Callable[[], datetime]) -> None:
        """Take Stripe, and whom to wake when it knew more."""
        self._database = database
        self._gateway = gateway
        self._recorder = SessionRecorder(database, waker, clock)

    async def get(
        self, *, order_id: str = "", session_id: str = "", scope: Scope, refresh: bool, budget: float
    ) -> Order:
        """Give the order of an id, its own or its session's; `refresh` asks Stripe first."""
        deadline = CallDeadline(budget)
        order = await self._find(order_id, session_id, scope)
        if refresh:
            order = await self._refreshed(order, deadline)
        return await view_order(self._database, order)

    async def _find(self, order_id: str, session_id: str, scope: Scope) -> OrderRow:
        if not (order_id or session_id):
            raise InvalidRequestError([FieldViolation("order_id", "or checkout_session_id is required")])
        async with self._database.reading() as reading:
            if order_id:
                order = await find_order(reading, order_id, scope)
            else:
                order = await find_by_session(reading, session_id, scope)
        if order is None:
            raise OrderNotFoundError(
                f"There is no order {order_id!r}." if order_id else f"There is no order of session {session_id!r}.",
                **({"order_id": order_id} if order_id else {"checkout_session_id": session_id}),
            )
        return order

    async def _refreshed(self, order: OrderRow, deadline: CallDeadline) -> OrderRow:
        session = await self._ask(order, deadline)
        if session is None:
            return order
        return await self._recorder.record(order.order_id, session, "told its state when it was asked")

    async def _ask(self, order: OrderRow, deadline: CallDeadline) -> dict[str, Any] | None:
        """Ask Stripe what became of an order that is not settled."""
        if order.payment_state in UNSETTLED:
            return await self._gateway.retrieve_session(
                order.checkout_session_id or "", account=order.stripe_account, budget=deadline.for_stripe()
            )
        if order.payment_state == PaymentState.CREATING and order.creation_doubtful:
            return await search_session(self._gateway, order, deadline.for_stripe())
        return None
