"""Moves an order: changes its row and appends its events, in the one transaction that has locked it.

It never decides what happens, only that row and log tell the same story.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent
from payments_service.identifiers import new_id
from payments_service.orders.order_message import fulfillment_message, order_message, timestamp
from payments_service.storage.database import Connection
from payments_service.storage.fulfillment_rows import FulfillmentRow, list_shown
from payments_service.storage.log_rows import OutboxEvent, append_events
from payments_service.storage.order_rows import OrderRow, update_order


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Something that happened to an order, and to which of its fulfillments."""

    type: FulfillmentEvent.Type.ValueType
    fulfillment_id: str = ""


async def move_order(
    tx: Connection, order: OrderRow, changes: dict[str, Any], occurrences: Sequence[Occurrence], now: datetime
) -> OrderRow:
    """Apply the changes, one version a event, and append the events; the order is locked."""
    version = order.version + len(occurrences)
    moved = await update_order(tx, order.order_id, {**changes, "version": version, "update_time": now})
    if occurrences:
        shown = (await list_shown(tx, [order.order_id]))[order.order_id]
        events = [
            _event(moved, shown, occurrence, order.version + number, now)
            for number, occurrence in enumerate(occurrences, 1)
        ]
        await append_events(tx, events)
    return moved


def _event(
    order: OrderRow, shown: Sequence[FulfillmentRow], occurrence: Occurrence, version: int, now: datetime
) -> OutboxEvent:
    message = FulfillmentEvent(
        event_id=new_id("fev"),
        type=occurrence.type,
        organization_id=order.organization_id,
        order_id=order.order_id,
        order_version=version,
        occur_time=timestamp(now),
        order=order_message(order, shown),
    )
    message.order.version = version
    for row in shown:
        if row.fulfillment_id == occurrence.fulfillment_id:
            message.fulfillment.CopyFrom(fulfillment_message(row))
    return OutboxEvent(
        event_id=message.event_id,
        organization_id=order.organization_id,
        ordering_key=order.order_id,
        order_version=version,
        purchase_type=order.purchase_type,
        type=occurrence.type,
        body=message.SerializeToString(),
        occur_time=now,
    )
