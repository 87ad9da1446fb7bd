"""Writes how an attempt ended: the fulfillment's row, its order and the event move together or not at all."""

from datetime import datetime
from typing import Any

from payments_service.errors import PaymentsError
from payments_service.fulfillment.outcome import Outcome
from payments_service.orders.transition import Occurrence, move_order
from payments_service.storage.database import Connection
from payments_service.storage.fulfillment_rows import FulfillmentRow, list_shown, settle_fulfillment
from payments_service.storage.order_rows import OrderRow


class AttemptLostError(PaymentsError):
    """Raised when the fulfillment was claimed anew meanwhile: that claim counts, this one is undone."""


async def settle(
    tx: Connection, order: OrderRow, fulfillment: FulfillmentRow, outcome: Outcome, now: datetime
) -> OrderRow:
    """Settle an attempt; the order is locked, and `fulfillment` is as it was claimed or locked."""
    values: dict[str, Any] = {"state": outcome.state, "last_error": outcome.error, "update_time": now}
    if outcome.result is not None:
        values["result"] = outcome.result
    held = (fulfillment.fulfillment_id, fulfillment.claim_epoch)
    if not await settle_fulfillment(tx, *held, values, outcome.retry_seconds):
        raise AttemptLostError("The fulfillment was claimed anew.", fulfillment_id=fulfillment.fulfillment_id)
    newest = (await list_shown(tx, [order.order_id]))[order.order_id][0]
    told = [] if outcome.occurrence is None else [Occurrence(outcome.occurrence, fulfillment.fulfillment_id)]
    return await move_order(tx, order, {"fulfillment_state": newest.state}, told, now)
