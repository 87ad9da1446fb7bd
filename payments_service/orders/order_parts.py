"""Reads what an order carries with it wherever it is shown: its newest fulfillments and refunds."""

from collections.abc import Sequence
from dataclasses import dataclass

from payments_service.storage.database import Connection
from payments_service.storage.fulfillment_rows import SHOWN, FulfillmentRow, count_of_order, list_shown
from payments_service.storage.refund_rows import RefundRow, list_shown_refunds


@dataclass(frozen=True, slots=True)
class OrderParts:
    """The newest first; the count is of all fulfillments."""

    fulfillments: Sequence[FulfillmentRow] = ()
    fulfillment_count: int = 0
    refunds: Sequence[RefundRow] = ()


async def read_parts(reading: Connection, order_ids: list[str]) -> dict[str, OrderParts]:
    """Read the parts of several orders, with one read for each kind."""
    fulfillments = await list_shown(reading, order_ids)
    refunds = await list_shown_refunds(reading, order_ids)
    return {
        order_id: OrderParts(rows, await _count(reading, order_id, rows), refunds[order_id])
        for order_id, rows in fulfillments.items()
    }


async def parts_of(reading: Connection, order_id: str) -> OrderParts:
    """Read the parts of one order."""
    return (await read_parts(reading, [order_id]))[order_id]


async def _count(reading: Connection, order_id: str, shown: Sequence[FulfillmentRow]) -> int:
    return len(shown) if len(shown) < SHOWN else await count_of_order(reading, order_id)
