"""The pages to which Stripe sends a buyer back: the live state of an order, asking Stripe where its webhook is late.

Only who holds a whole session id sees anything, and then nothing that identifies a person or grants a thing.
"""

import re
import time
from typing import Protocol

import structlog

from payments_service.contract.pb.payments.v1.order_pb2 import Order
from payments_service.errors import OrderNotFoundError, PaymentsError
from payments_service.scope import EVERYTHING, Scope
from webhook_bridge.answer import Answer
from webhook_bridge.incoming_request import IncomingRequest
from webhook_bridge.order_progress import Progress, progress_of
from webhook_bridge.page_rendering import PageRenderer, Visit
from webhook_bridge.refresh_limit import RefreshLimit

SESSION_ID = re.compile(r"cs_(test|live)_[A-Za-z0-9]{8,250}")
LOOK_SECONDS, ASK_SECONDS = 3.0, 5.0
ASK_INTERVALS = {Progress.PROCESSING: 3.0, Progress.AWAITING_BANK: 60.0}
"""Seconds between two questions to Stripe about one session, where Stripe may know more than we do."""
_log = structlog.get_logger(__name__)


class Orders(Protocol):
    """Where orders are looked up: the checkout stage's `OrderLookup`."""

    async def get(
        self, *, order_id: str = "", session_id: str = "", scope: Scope, refresh: bool, budget: float
    ) -> Order:
        """Find one; raises OrderNotFoundError, and with `refresh` whatever asking Stripe may raise."""


class ReturnPages:
    """GET /checkout/return and /checkout/cancelled."""

    def __init__(self, orders: Orders) -> None:
        """Take where orders are looked up."""
        self._orders = orders
        self._limit = RefreshLimit(time.monotonic)
        self._pages = PageRenderer()

    async def show_order(self, request: IncomingRequest) -> Answer:
        """Show how far the order of a checkout session is."""
        query = request.query()
        session_id = query.get("session_id", "")
        if not SESSION_ID.fullmatch(session_id):
            return self._pages.unknown()
        visit = Visit(session_id, _count(query.get("look", "")))
        try:
            order = await self._look(session_id)
        except OrderNotFoundError:
            return self._pages.unknown()
        except PaymentsError as error:
            _log.warning("return_page.failed", reason=error.message)
            return self._pages.unavailable(visit)
        return self._pages.order(order, progress_of(order), visit)

    async def show_cancelled(self, _: IncomingRequest) -> Answer:
        """Show that nothing was bought."""
        return self._pages.cancelled()

    async def _look(self, session_id: str) -> Order:
        """Look into our own table first: an id that is not there never reaches Stripe."""
        order = await self._orders.get(session_id=session_id, scope=EVERYTHING, refresh=False, budget=LOOK_SECONDS)
        interval = ASK_INTERVALS.get(progress_of(order))
        if interval is None:
            return order
        with self._limit.admit(session_id, interval) as admitted:
            return await self._ask(order, session_id) if admitted else order

    async def _ask(self, order: Order, session_id: str) -> Order:
        """Ask Stripe; where it does not answer, what we know is what there is to show."""
        try:
            return await self._orders.get(session_id=session_id, scope=EVERYTHING, refresh=True, budget=ASK_SECONDS)
        except PaymentsError as error:
            _log.warning("return_page.refresh_failed", order_id=order.order_id, reason=error.message)
            return order


def _count(text: str) -> int:
    """Read how often the page has reloaded itself."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0
