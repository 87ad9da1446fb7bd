"""Decides whose one of Stripe's objects is: ours, somebody else's on the same account, or not to be told yet.

Pure, and strict in one direction: what only looks like ours is passed on untouched, never guessed at.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from payments_service.orders.stripe_json import mapping
from payments_service.stripe_gateway.metadata import BUILT_IN_TYPES, SCHEMA_KEY

ORDER_ID = re.compile(r"ord_[0-9a-f]{32}")
WITHOUT_METADATA = frozenset({"refund", "dispute", "invoice_payment"})
"""Kinds of object to which Stripe copies no metadata: they prove ours by the payment that they name."""


class Owner(Enum):
    """Whose an object is."""

    OURS = auto()
    OTHERS = auto()
    UNDECIDED = auto()


@dataclass(frozen=True, slots=True)
class Marks:
    """What an object says of itself."""

    kind: str
    order_id: str
    """Our order's id, where it carries one."""
    type: str
    organization_id: str
    schema: str


def read_marks(stripe_object: Mapping[str, Any]) -> Marks:
    """Read the marks from the object's metadata, and an invoice's from where each API version puts them."""
    metadata = object_metadata(stripe_object)
    named = metadata.get("order_id") or stripe_object.get("client_reference_id") or ""
    return Marks(
        kind=str(stripe_object.get("object", "")),
        order_id=named if isinstance(named, str) and ORDER_ID.fullmatch(named) else "",
        type=metadata.get("type", ""),
        organization_id=metadata.get("organization_id", ""),
        schema=metadata.get(SCHEMA_KEY, ""),
    )


def object_metadata(stripe_object: Mapping[str, Any]) -> dict[str, str]:
    """Collect metadata: the object's own, over its subscription's snapshot (recent API versions, then older ones)."""
    parent = mapping(mapping(stripe_object.get("parent")).get("subscription_details"))
    older = mapping(stripe_object.get("subscription_details"))
    found: dict[str, str] = {}
    for holder in (older, parent, stripe_object):
        found |= {str(key): value for key, value in mapping(holder.get("metadata")).items() if isinstance(value, str)}
    return found


def owner_of(marks: Marks, *, known: bool, claimed_types: frozenset[str]) -> Owner:
    """Decide; `known` says that an id of an order of ours is named."""
    if known or marks.order_id or marks.schema or marks.type in BUILT_IN_TYPES | claimed_types:
        return Owner.OURS
    return Owner.UNDECIDED if marks.kind in WITHOUT_METADATA else Owner.OTHERS
