"""Decides whether what was fulfilled for one payment may stand, and what is to be done where it is otherwise. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from payments_service.orders.dispute_facts import DisputeFacts
from payments_service.orders.order_facts import OrderFacts
from payments_service.orders.states import FulfillmentState
from payments_service.orders.stripe_json import instant
from payments_service.storage.fulfillment_rows import FulfillmentRow


@dataclass(frozen=True, slots=True)
class RevocationPolicy:
    """What ends access, for one purchase type; losing the money for good always does."""

    on_full_refund: bool = True
    on_part_refund: bool = False
    while_disputed: bool = False
    """Whether access rests from a dispute's opening until it is won."""


POLICIES: dict[str, RevocationPolicy] = {}
"""By purchase type; a type that is not named has the defaults."""


class Step(Enum):
    """What is to be done with a fulfillment."""

    NONE = auto()
    REVOKE = auto()
    KEEP = auto()
    """A revocation that was due and has not begun is called off."""
    RESTORE = auto()


def stands(row: FulfillmentRow, facts: OrderFacts, refunded: int) -> bool:
    """Say whether the payment is still ours; `refunded` is in minor units, of refunds that have succeeded."""
    policy = POLICIES.get(row.purchase_type, RevocationPolicy())
    disputes = [dispute for dispute in facts.disputes.values() if _concerns(dispute, row)]
    if any(dispute.is_lost or (policy.while_disputed and dispute.is_open) for dispute in disputes):
        return False
    if refunded and (policy.on_part_refund or (policy.on_full_refund and refunded >= row.amount_minor_units)):
        return False
    return not _ended_early(row.period_end, facts)


def next_step(row: FulfillmentRow, *, standing: bool, leased: bool) -> Step:
    """Decide; who holds a lease is left to end its attempt, and this is asked again when it settles."""
    revoked = row.state == FulfillmentState.REVOKED
    if standing:
        if revoked:
            return Step.RESTORE
        return Step.KEEP if row.revoke_due and not leased else Step.NONE
    return Step.NONE if revoked or row.revoke_due else Step.REVOKE


def refunded_by_fulfillment(amounts: Iterable[tuple[str | None, int]]) -> dict[str, int]:
    """Sum the refunds that name a fulfillment."""
    sums: dict[str, int] = {}
    for fulfillment_id, amount in amounts:
        if fulfillment_id:
            sums[fulfillment_id] = sums.get(fulfillment_id, 0) + amount
    return sums


def _concerns(dispute: DisputeFacts, row: FulfillmentRow) -> bool:
    """Match a dispute with its payment; one that matches by neither id concerns the order's first payment."""
    by_intent = dispute.payment_intent_id and dispute.payment_intent_id == row.payment_intent_id
    by_charge = dispute.charge_id and dispute.charge_id == row.charge_id
    return bool(by_intent or by_charge)


def _ended_early(period_end: datetime | None, facts: OrderFacts) -> bool:
    """Say whether the subscription was ended before the period that this pays for is over."""
    ended_at = instant(facts.subscription.ended_at) if facts.subscription.ended else None
    return ended_at is not None and period_end is not None and ended_at < period_end
