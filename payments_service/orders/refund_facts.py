"""What is known of one refund: its state only climbs, and a failure is the last word (a success may yet fail)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from payments_service.orders.states import RefundState
from payments_service.orders.stripe_json import mapping, named_id, text, whole

OUR_KEY = "payments_refund_id"
"""The metadata key by which a refund of ours names its row."""
_STATES = {
    "pending": RefundState.PENDING,
    "requires_action": RefundState.PENDING,
    "succeeded": RefundState.SUCCEEDED,
    "failed": RefundState.FAILED,
    "canceled": RefundState.CANCELED,
}
_RANKS = (
    RefundState.UNSPECIFIED,
    RefundState.REQUESTED,
    RefundState.PENDING,
    RefundState.SUCCEEDED,
    RefundState.CANCELED,
    RefundState.FAILED,
)
SPENDING = frozenset({RefundState.REQUESTED, RefundState.PENDING, RefundState.SUCCEEDED})
"""States in which the money counts as given back when more is asked for."""


@dataclass(frozen=True, slots=True)
class RefundFacts:
    """Facts of a `refund` object."""

    stripe_refund_id: str
    state: RefundState
    amount: int
    """In minor units."""
    currency: str
    payment_intent_id: str
    charge_id: str
    our_id: str
    reason: str


def observe_refund(refund: Mapping[str, Any]) -> RefundFacts:
    """Read the facts from Stripe's JSON; a refund of old API versions without a status has succeeded."""
    return RefundFacts(
        stripe_refund_id=named_id(refund),
        state=_STATES.get(text(refund.get("status")) or "succeeded", RefundState.PENDING),
        amount=whole(refund.get("amount")) or 0,
        currency=text(refund.get("currency")),
        payment_intent_id=named_id(refund.get("payment_intent")),
        charge_id=named_id(refund.get("charge")),
        our_id=text(mapping(refund.get("metadata")).get(OUR_KEY)),
        reason=text(refund.get("reason")),
    )


def later_state(known: RefundState, seen: RefundState) -> RefundState:
    """Join two observations of a refund's state."""
    return max(known, seen, key=_RANKS.index)
