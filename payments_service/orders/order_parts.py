"""Reads what an order carries with it wherever it is shown: its newest fulfillments and refunds."""

from collections.abc import Sequence
from dataclasses import dataclass

from payments_service.orders.states import RefundState
from payments_service.storage.database import Connection
from payments_service.storage.fulfillment_rows import (
    SHOWN,
    FulfillmentRow,
    count_of_order,
    list_all_fulfillments,
    list_shown,
)
from payments_service.storage.refund_rows import SHOWN_REFUNDS, RefundRow, list_refunds, list_shown_refunds


@dataclass(frozen=True, slots=True)
class OrderParts:
    """The newest first; the count is of all fulfillments."""

    fulfillments: Sequence[FulfillmentRow] = ()
    fulfillment_count: int = 0
    refunds: Sequence[RefundRow] = ()


NO_PARTS = OrderParts()


@dataclass(frozen=True, slots=True)
class OrderBooks:
    """All payments and refunds of a locked order, newest first: read once a transaction, handed from step to step."""

    payments: Sequence[FulfillmentRow] = ()
    refunds: Sequence[RefundRow] = ()

    @property
    def parts(self) -> OrderParts:
        """What the order carries with it."""
        return OrderParts(self.payments[:SHOWN], len(self.payments), self.refunds[:SHOWN_REFUNDS])

    @property
    def refunded(self) -> int:
        """Sum the refunds that have succeeded, in minor units."""
        return sum(row.amount_minor_units for row in self.refunds if row.state == RefundState.SUCCEEDED)


async def read_books(tx: Connection, order_id: str) -> OrderBooks:
    """Read the books of an order that this transaction has locked."""
    return OrderBooks(await list_all_fulfillments(tx, order_id), await list_refunds(tx, order_id))


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
