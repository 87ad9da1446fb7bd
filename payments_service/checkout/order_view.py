"""Shows an order to its caller, with what it owes."""

from payments_service.contract.pb.payments.v1.order_pb2 import Order
from payments_service.orders.order_message import order_message
from payments_service.orders.order_parts import OrderParts, parts_of
from payments_service.orders.states import FulfillmentState
from payments_service.scope import EVERYTHING
from payments_service.storage.database import Database
from payments_service.storage.order_rows import OrderRow, find_order


async def view_order(database: Database, order: OrderRow) -> Order:
    """Give the contract's message; an order that owes something is read again, so that both are of one moment."""
    if order.fulfillment_state == FulfillmentState.UNSPECIFIED:
        return order_message(order, OrderParts())
    async with database.reading() as reading:
        present = await find_order(reading, order.order_id, EVERYTHING)
        parts = await parts_of(reading, order.order_id)
    return order_message(present or order, parts)
