"""Moves an order: changes its row and appends its events, in the one transaction that has locked it.

It never decides what happens, only that row and log tell the same story.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent
from payments_service.identifiers import new_id
from payments_service.orders.order_message import fulfillment_message, order_message, refund_message, timestamp
from payments_service.orders.order_parts import NO_PARTS, OrderParts
from payments_service.storage.database import Connection
from payments_service.storage.log_rows import OutboxEvent, append_events
from payments_service.storage.order_rows import OrderRow, update_order
from payments_service.storage.refund_rows import RefundRow


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Something that happened to an order, to which of its fulfillments, and by which refund."""

    type: FulfillmentEvent.Type.ValueType
    fulfillment_id: str = ""
    refund: RefundRow | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """What is to be told of a move: the occurrences in their order, and what the order carries with it then."""

    occurrences: Sequence[Occurrence] = ()
    parts: OrderParts = NO_PARTS


async def move_order(tx: Connection, order: OrderRow, changes: dict[str, Any], story: Story, now: datetime) -> OrderRow:
    """Apply the changes, one version a event, and append the events; the order is locked."""
    version = order.version + len(story.occurrences)
    moved = await update_order(tx, order.order_id, {**changes, "version": version, "update_time": now})
    events = [
        _event(moved, story.parts, occurrence, order.version + number, now)
        for number, occurrence in enumerate(story.occurrences, 1)
    ]
    await append_events(tx, events)
    return moved


def _event(order: OrderRow, parts: OrderParts, occurrence: Occurrence, version: int, now: datetime) -> OutboxEvent:
    message = FulfillmentEvent(
        event_id=new_id("fev"),
        type=occurrence.type,
        organization_id=order.organization_id,
        order_id=order.order_id,
        order_version=version,
        occur_time=timestamp(now),
        order=order_message(order, parts),
    )
    message.order.version = version
    for row in parts.fulfillments:
        if row.fulfillment_id == occurrence.fulfillment_id:
            message.fulfillment.CopyFrom(fulfillment_message(row))
    if occurrence.refund is not None:
        message.refund.CopyFrom(refund_message(occurrence.refund))
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
