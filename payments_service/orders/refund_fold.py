"""Writes what was seen of refunds into their rows, within the transaction that has locked their order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent
from payments_service.identifiers import new_id
from payments_service.orders.refund_facts import RefundFacts, later_state
from payments_service.orders.states import RefundState
from payments_service.storage.database import Connection
from payments_service.storage.fulfillment_rows import FulfillmentRow
from payments_service.storage.order_rows import OrderRow
from payments_service.storage.refund_rows import RefundRow, find_refund, insert_refund, update_refund

FAILED_STATES = frozenset({RefundState.FAILED, RefundState.CANCELED})


@dataclass(frozen=True, slots=True)
class RefundChange:
    """A refund's row before and after; None where it is new."""

    before: RefundRow | None
    after: RefundRow

    def happened(self) -> Iterator[FulfillmentEvent.Type.ValueType]:
        """Name the events: only success and failure are told."""
        known = self.before.state if self.before else RefundState.UNSPECIFIED
        if self.after.state == RefundState.SUCCEEDED != known:
            yield FulfillmentEvent.TYPE_REFUNDED
        if self.after.state in FAILED_STATES and known not in FAILED_STATES:
            yield FulfillmentEvent.TYPE_REFUND_FAILED


async def write_refund(
    tx: Connection, order: OrderRow, rows: Sequence[FulfillmentRow], seen: RefundFacts, now: datetime
) -> RefundChange | None:
    """Join a refund into its row; None where the row says so already."""
    known = await find_refund(tx, order.order_id, refund_id=seen.our_id, stripe_id=seen.stripe_refund_id)
    payment = payment_of(rows, seen.payment_intent_id, seen.charge_id)
    if known is None:
        inserted = await insert_refund(tx, _new_row(order, payment, seen, now))
        return RefundChange(None, inserted) if inserted else None
    changes = {
        "stripe_refund_id": seen.stripe_refund_id,
        "state": later_state(RefundState(known.state), seen.state),
        "fulfillment_id": known.fulfillment_id or (payment.fulfillment_id if payment else None),
    }
    if all(getattr(known, name) == value for name, value in changes.items()):
        return None
    return RefundChange(known, await update_refund(tx, known.refund_id, {**changes, "update_time": now}))


def payment_of(rows: Sequence[FulfillmentRow], payment_intent_id: str, charge_id: str) -> FulfillmentRow | None:
    """Find which payment is meant; where there is only one, it is that one."""
    for row in rows:
        if payment_intent_id and row.payment_intent_id == payment_intent_id:
            return row
        if charge_id and row.charge_id == charge_id:
            return row
    return rows[0] if len(rows) == 1 else None


def _new_row(order: OrderRow, payment: FulfillmentRow | None, seen: RefundFacts, now: datetime) -> dict[str, object]:
    return {
        "refund_id": new_id("rfd"),
        "stripe_refund_id": seen.stripe_refund_id,
        "order_id": order.order_id,
        "organization_id": order.organization_id,
        "fulfillment_id": payment.fulfillment_id if payment else None,
        "payment_intent_id": seen.payment_intent_id or None,
        "charge_id": seen.charge_id or None,
        "created_by": "stripe",
        "amount_minor_units": seen.amount,
        "currency_code": seen.currency,
        "reason": seen.reason,
        "state": seen.state,
        "create_time": now,
        "update_time": now,
    }
