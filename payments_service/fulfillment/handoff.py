"""Fulfills by asking the owning service: the event says what to do, and CompleteFulfillment says that it is done."""

from datetime import datetime

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent
from payments_service.fulfillment.outcome import Outcome
from payments_service.orders.states import FulfillmentState
from payments_service.storage.database import Connection
from payments_service.storage.fulfillment_rows import FulfillmentRow
from payments_service.storage.order_rows import OrderRow


async def hand_off(_: Connection, __: OrderRow, ___: FulfillmentRow, ____: datetime) -> Outcome:
    """Wait for the owner from now on."""
    return Outcome(FulfillmentState.AWAITING_OWNER, FulfillmentEvent.TYPE_FULFILLMENT_REQUESTED)
