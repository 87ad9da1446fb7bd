"""What is known of one dispute; an early warning is none, and money that came back outweighs money that was lost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from payments_service.orders.stripe_json import named_id, whole

REINSTATED_TYPE = "charge.dispute.funds_reinstated"
OPENED_STATUSES = frozenset({"needs_response", "under_review", "won", "lost"})


@dataclass(frozen=True, slots=True)
class DisputeFacts:
    """Facts of a `dispute` object; each goes from unknown to known and stays."""

    dispute_id: str
    payment_intent_id: str = ""
    charge_id: str = ""
    amount: int = 0
    """In minor units."""
    opened: bool = False
    won: bool = False
    lost: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it is not decided yet."""
        return self.opened and not (self.won or self.lost)

    @property
    def is_lost(self) -> bool:
        """Whether the money is gone for good."""
        return self.lost and not self.won


def observe_dispute(dispute: Mapping[str, Any], event_type: str = "") -> DisputeFacts:
    """Read the facts from Stripe's JSON."""
    status = dispute.get("status")
    return DisputeFacts(
        dispute_id=named_id(dispute),
        payment_intent_id=named_id(dispute.get("payment_intent")),
        charge_id=named_id(dispute.get("charge")),
        amount=whole(dispute.get("amount")) or 0,
        opened=status in OPENED_STATUSES,
        won=status == "won" or event_type == REINSTATED_TYPE,
        lost=status == "lost",
    )


def merge_dispute(known: DisputeFacts, seen: DisputeFacts) -> DisputeFacts:
    """Join two sets of facts of the same dispute."""
    return DisputeFacts(
        dispute_id=known.dispute_id,
        payment_intent_id=max(known.payment_intent_id, seen.payment_intent_id),
        charge_id=max(known.charge_id, seen.charge_id),
        amount=max(known.amount, seen.amount),
        opened=known.opened or seen.opened,
        won=known.won or seen.won,
        lost=known.lost or seen.lost,
    )
