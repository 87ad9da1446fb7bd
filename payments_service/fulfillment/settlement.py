"""Writes how an attempt ended: the fulfillment's row, its order and the event move together or not at all.

What has happened to the money meanwhile is looked at in the same transaction: a payment that was given back during
an attempt is revoked after it, one that was granted again after a revocation is restored.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from payments_service.errors import PaymentsError
from payments_service.fulfillment.outcome import Outcome
from payments_service.orders.order_facts import facts_from_json
from payments_service.orders.order_parts import OrderBooks, read_books
from payments_service.orders.revocation import apply_standing
from payments_service.orders.transition import Occurrence, Story, move_order
from payments_service.storage.database import Connection
from payments_service.storage.fulfillment_rows import (
    FulfillmentRow,
    make_due,
    settle_fulfillment,
)
from payments_service.storage.order_rows import OrderRow


class AttemptLostError(PaymentsError):
    """Raised when the fulfillment was claimed anew meanwhile: that claim counts, this one is undone."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The order after an attempt, and the fulfillments that are due for work since."""

    order: OrderRow
    due_fulfillment_ids: tuple[str, ...] = ()


async def settle(
    tx: Connection, order: OrderRow, fulfillment: FulfillmentRow, outcome: Outcome, now: datetime
) -> Settled:
    """Settle an attempt; the order is locked, and `fulfillment` is as it was claimed or locked."""
    await _write(tx, fulfillment, outcome, now)
    books = await read_books(tx, order.order_id)
    due = await _revoke_after(tx, books, fulfillment)
    standing = await apply_standing(tx, order.order_id, books, facts_from_json(order.facts), now)
    told = [] if outcome.occurrence is None else [Occurrence(outcome.occurrence, fulfillment.fulfillment_id)]
    changes = {"fulfillment_state": standing.books.payments[0].state}
    story = Story([*told, *standing.occurrences], standing.books.parts)
    moved = await move_order(tx, order, changes, story, now)
    return Settled(moved, (*due, *standing.due_fulfillment_ids))


async def _write(tx: Connection, fulfillment: FulfillmentRow, outcome: Outcome, now: datetime) -> None:
    values: dict[str, Any] = {"state": outcome.state, "last_error": outcome.error, "update_time": now}
    if outcome.result is not None:
        values["result"] = outcome.result
    if outcome.revokes:
        values["revoke_due"] = False
    held = (fulfillment.fulfillment_id, fulfillment.claim_epoch)
    if not await settle_fulfillment(tx, *held, values, outcome.retry_seconds):
        raise AttemptLostError("The fulfillment was claimed anew.", fulfillment_id=fulfillment.fulfillment_id)


async def _revoke_after(tx: Connection, books: OrderBooks, fulfillment: FulfillmentRow) -> list[str]:
    """Go on with a revocation that came due while the attempt was running."""
    present = next(row for row in books.payments if row.fulfillment_id == fulfillment.fulfillment_id)
    if not present.revoke_due or fulfillment.revoke_due:
        return []
    await make_due(tx, fulfillment.fulfillment_id, {})
    return [fulfillment.fulfillment_id]
