"""Fulfills by writing an entitlement, in the transaction that settles the fulfillment; a digital good gets a key."""

import base64
import secrets
from datetime import datetime

from payments_service.contract.pb.payments.v1.purchase_pb2 import Purchase
from payments_service.errors import PaymentsError
from payments_service.fulfillment.outcome import Outcome, fulfilled
from payments_service.orders.purchase_rules import quantity_of, resource_of
from payments_service.storage.database import Connection
from payments_service.storage.fulfillment_rows import FulfillmentRow, grant_entitlement
from payments_service.storage.order_rows import OrderRow

LICENCE_KEY = "licence_key"


class NothingToGrantError(PaymentsError):
    """Raised when a type is fulfilled by grant and entitles to nothing: its line in purchase_rules is missing."""


async def grant(tx: Connection, order: OrderRow, fulfillment: FulfillmentRow, now: datetime) -> Outcome:
    """Entitle the user to what was bought."""
    purchase = Purchase.FromString(order.purchase)
    resource = resource_of(purchase)
    if resource is None:
        raise NothingToGrantError(f"{order.purchase_type!r} names no resource that could be granted.")
    await grant_entitlement(
        tx,
        {
            "fulfillment_id": fulfillment.fulfillment_id,
            "organization_id": order.organization_id,
            "user_id": order.user_id,
            "resource": resource,
            "purchase_type": order.purchase_type,
            "order_id": order.order_id,
            "quantity": quantity_of(purchase),
            "grant_time": now,
            "expire_time": fulfillment.period_end,
            "revoke_time": None,
        },
    )
    return fulfilled(_result(purchase, fulfillment))


def _result(purchase: Purchase, fulfillment: FulfillmentRow) -> dict[str, str]:
    """Keep the key of an earlier generation: the buyer has it already."""
    if purchase.WhichOneof("kind") != "digital_good":
        return {}
    return {LICENCE_KEY: fulfillment.result.get(LICENCE_KEY) or new_licence_key()}


def new_licence_key() -> str:
    """Make a key of five groups of five: 125 bits of chance, in letters and digits that cannot be confused."""
    text = base64.b32encode(secrets.token_bytes(16)).decode()[:25]
    return "-".join(text[at : at + 5] for at in range(0, 25, 5))
