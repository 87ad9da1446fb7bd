"""Asks Stripe, one by one and at a bounded rate, for orders of which it should have told something by now."""

import asyncio
from dataclasses import dataclass

import structlog

from payments_service.checkout.lookup import OrderLookup
from payments_service.errors import StripeError
from payments_service.orders.states import PaymentState
from payments_service.scope import EVERYTHING
from payments_service.storage.database import Database
from payments_service.storage.reconcile_rows import note_check, overdue_order_ids

ROUND_SECONDS = 30.0
BATCH = 20
PAUSE_SECONDS = 0.5
CALL_SECONDS = 10.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OverdueOrders:
    """Orders that are open past their expiry, that await funds for long, or whose creation was never answered."""

    database: Database
    lookup: OrderLookup

    async def ask(self) -> int:
        """Ask for a batch of them, two a second; returns how many."""
        async with self.database.reading() as reading:
            overdue = await overdue_order_ids(
                reading,
                open_state=PaymentState.OPEN,
                awaiting_state=PaymentState.AWAITING_FUNDS,
                creating_state=PaymentState.CREATING,
                limit=BATCH,
            )
        for order_id in overdue:
            await self._ask(order_id)
            await asyncio.sleep(PAUSE_SECONDS)
        return len(overdue)

    async def _ask(self, order_id: str) -> None:
        """Ask for one; one that Stripe cannot answer waits for its next turn like any other."""
        try:
            await self.lookup.get(order_id=order_id, scope=EVERYTHING, refresh=True, budget=CALL_SECONDS)
        except StripeError as error:
            _log.warning("order.not_asked_for", order_id=order_id, error=error.message)
        async with self.database.transaction() as tx:
            await note_check(tx, order_id)
