"""Records what Stripe answers of an order's session: folded in one transaction, and then the next stages are woken.

It asks Stripe nothing: whoever calls it has the answer already.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from payments_service.errors import OrderNotFoundError
from payments_service.inbox.waker import Waker
from payments_service.orders.order_fold import Folded, fold_session
from payments_service.storage.database import Connection, Database
from payments_service.storage.order_rows import OrderRow, lock_order
from payments_service.storage.timeline_rows import TimelineRow, add_timeline_row

Session = Mapping[str, Any]


class SessionRecorder:
    """Folds Stripe's answers as the actor folds its webhooks."""

    def __init__(self, database: Database, waker: Waker, clock: Callable[[], datetime]) -> None:
        """Take whom to wake after the commit."""
        self._database = database
        self._waker = waker
        self._clock = clock

    async def record(self, order_id: str, session: Session, summary: str) -> OrderRow:
        """Fold an answer into its order; the summary is for the order's timeline."""
        async with self._database.transaction() as tx:
            order = await lock_order(tx, order_id)
            if order is None:
                raise OrderNotFoundError(f"There is no order {order_id!r}.", order_id=order_id)
            folded = await self.fold(tx, order, session, summary)
        self.wake(folded)
        return folded.order

    async def fold(self, tx: Connection, order: OrderRow, session: Session, summary: str) -> Folded:
        """Fold within a transaction that has locked the order; `wake` when it is committed."""
        now = self._clock()
        folded = await fold_session(tx, order, session, "", now)
        if folded.changed:
            await add_timeline_row(tx, order.order_id, TimelineRow(now, "stripe", summary, str(session["id"])))
        return folded

    def wake(self, folded: Folded) -> None:
        """Tell the next stages what was committed."""
        if folded.changed:
            self._waker.poke_log()
        for fulfillment_id in folded.due_fulfillment_ids:
            self._waker.wake_fulfillment(fulfillment_id)
