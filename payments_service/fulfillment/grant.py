"""Fulfills by writing an entitlement, in the transaction that settles the fulfillment; a digital good gets a key."""

import base64
import secrets
from datetime import datetime

from payments_service.contract.pb.payments.v1.purchase_pb2 import Purchase
from payments_service.errors import PaymentsError
from payments_service.fulfillment.outcome import LocalFulfiller, Outcome, fulfilled
from payments_service.orders.entitlement import entitle, fulfilled_rows
from payments_service.storage.database import Connection
from payments_service.storage.fulfillment_rows import FulfillmentRow, list_all_fulfillments
from payments_service.storage.order_rows import OrderRow

LICENCE_KEY = "licence_key"


class NothingToGrantError(PaymentsError):
    """Raised when a type is fulfilled by grant and entitles to nothing: its line in purchase_rules is missing."""


def granting(grace_days: int) -> LocalFulfiller:
    """Make the fulfiller; access outlasts a subscription's paid period by the grace, while a renewal may succeed."""

    async def grant(tx: Connection, order: OrderRow, fulfillment: FulfillmentRow, now: datetime) -> Outcome:
        # What is without an end is so whatever else is held.
        ends = fulfillment.period_end is not None
        held = fulfilled_rows(await list_all_fulfillments(tx, order.order_id)) if ends else []
        if not await entitle(tx, order, [*held, fulfillment], grace_days, now):
            raise NothingToGrantError(f"{order.purchase_type!r} names no resource that could be granted.")
        return fulfilled(_result(Purchase.FromString(order.purchase), fulfillment))

    return grant


def _result(purchase: Purchase, fulfillment: FulfillmentRow) -> dict[str, str]:
    """Keep the key of an earlier generation: the buyer has it already."""
    if purchase.WhichOneof("kind") != "digital_good":
        return {}
    return {LICENCE_KEY: fulfillment.result.get(LICENCE_KEY) or new_licence_key()}


def new_licence_key() -> str:
    """Make a key of five groups of five: 125 bits of chance, in letters and digits that cannot be confused."""
    text = base64.b32encode(secrets.token_bytes(16)).decode()[:25]
    return "-".join(text[at : at + 5] for at in range(0, 25, 5))
