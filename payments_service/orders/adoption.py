"""Makes an order from the metadata of a payment that did not begin here: a Payment Link, an invoice, a web front end.

What is missing or cannot be read is never guessed at: it is named, and the event fails.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from payments_service.contract.pb.payments.v1.order_pb2 import MODE_PAYMENT, MODE_SUBSCRIPTION
from payments_service.contract.pb.payments.v1.purchase_pb2 import Purchase
from payments_service.errors import FieldViolation, InvalidRequestError
from payments_service.identifiers import new_id
from payments_service.orders.invoice_facts import invoice_subscription
from payments_service.orders.ownership import object_metadata
from payments_service.orders.purchase_rules import REQUIRED, purchase_violations
from payments_service.orders.states import PaymentState
from payments_service.orders.stripe_json import named_id
from payments_service.storage.database import Connection
from payments_service.storage.inbox_rows import InboxRow
from payments_service.storage.order_rows import OrderRow, find_by_request, insert_order, lock_order
from payments_service.stripe_gateway.metadata import BUILT_IN_TYPES, decode_purchase, purchase_type

ADOPTER = "stripe"
_CAMEL_CASE = {"userId": "user_id", "organizationId": "organization_id"}


@dataclass(frozen=True, slots=True)
class Adoption:
    """What an object says of the order that it is to become."""

    organization_id: str
    user_id: str
    purchase: Purchase
    customer_id: str
    subscription_id: str
    key: str
    """What all events of one purchase name alike: the subscription's id, else the session's or invoice's."""


def read_adoption(stripe_object: Mapping[str, Any]) -> Adoption:
    """Read an adoption; raises InvalidRequestError naming each key of the metadata that is missing or wrong."""
    metadata = _snake_case(object_metadata(stripe_object))
    customer_id = named_id(stripe_object.get("customer"))
    purchase = decode_purchase(metadata)
    organization_id, user_id = metadata.get("organization_id", ""), metadata.get("user_id", "") or customer_id
    violations = [FieldViolation(f"metadata.{v.field}", v.description) for v in purchase_violations(purchase)]
    if not organization_id.strip():
        violations.append(FieldViolation("metadata.organization_id", "is missing"))
    if not user_id.strip():
        violations.append(FieldViolation("metadata.user_id", "is missing, and there is no customer to stand for it"))
    if violations:
        raise InvalidRequestError(violations)
    is_session = stripe_object.get("object") == "checkout.session"
    subscription_id = named_id(stripe_object.get("subscription")) if is_session else invoice_subscription(stripe_object)
    key = subscription_id or named_id(stripe_object)
    return Adoption(organization_id, user_id, purchase, customer_id, subscription_id, key)


async def adopt(tx: Connection, event: InboxRow, adoption: Adoption, now: datetime) -> OrderRow:
    """Insert the order, or lock the one that another event of the same purchase has made."""
    key = hashlib.sha256(f"{event.stripe_account}:{event.livemode}:{adoption.key}".encode()).hexdigest()
    inserted = await insert_order(tx, _new_order(event, adoption, key, now))
    if inserted is not None:
        return inserted
    found = await find_by_request(tx, adoption.organization_id, ADOPTER, key)
    locked = await lock_order(tx, found.order_id) if found else None
    if locked is None:
        raise LookupError(f"The order adopted for {adoption.key} was there and is gone.")
    return locked


def _new_order(event: InboxRow, adoption: Adoption, key: str, now: datetime) -> dict[str, Any]:
    return {
        "order_id": new_id("ord"),
        "organization_id": adoption.organization_id,
        "user_id": adoption.user_id,
        "created_by": ADOPTER,
        "request_id": key,
        "request_digest": b"",
        "purchase_type": purchase_type(adoption.purchase),
        "purchase": adoption.purchase.SerializeToString(),
        "mode": MODE_SUBSCRIPTION if adoption.subscription_id else MODE_PAYMENT,
        "stripe_account": event.stripe_account,
        "livemode": event.livemode,
        "stripe_parameters": {},
        "facts": {},
        "payment_state": PaymentState.OPEN,
        "subscription_id": adoption.subscription_id or None,
        "customer_id": adoption.customer_id or None,
        "create_time": now,
        "update_time": now,
    }


def _snake_case(metadata: Mapping[str, str]) -> dict[str, str]:
    """Read the names that web front ends write; the id of what is bought is the kind's required field."""
    read = {_CAMEL_CASE.get(key, key): value for key, value in metadata.items()}
    custom_id = metadata.get("customId")
    if custom_id:
        kind = read.get("type", "")
        field = REQUIRED[kind] if kind in BUILT_IN_TYPES else "custom_id"
        read.setdefault(f"purchase.{field}", custom_id)
    return read
