"""What is known of one checkout session, and the payment state that follows; it never orders facts by time.

Stripe tells facts late, twice and in any order, so they only grow: `merge` is a join, and its result
does not depend on the order or the number of the observations (property-tested).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from payments_service.orders.states import PaymentState
from payments_service.orders.stripe_json import named_id

ASYNC_FAILED = "checkout.session.async_payment_failed"
PAID_STATUSES = frozenset({"paid", "no_payment_required"})


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """Facts of a `checkout.session` object; each goes from unknown to known and stays."""

    complete: bool = False
    expired: bool = False
    paid: bool = False
    failed: bool = False
    payment_intent_id: str = ""
    subscription_id: str = ""
    invoice_id: str = ""
    amount_total: int | None = None
    """In minor units."""
    currency: str = ""


def observe_session(session: Mapping[str, Any], event_type: str = "") -> SessionFacts:
    """Read the facts from Stripe's JSON; only the event's type says that a delayed payment has failed."""
    return SessionFacts(
        complete=session.get("status") == "complete",
        expired=session.get("status") == "expired",
        paid=session.get("payment_status") in PAID_STATUSES and session.get("status") == "complete",
        failed=event_type == ASYNC_FAILED,
        payment_intent_id=named_id(session.get("payment_intent")),
        subscription_id=named_id(session.get("subscription")),
        invoice_id=named_id(session.get("invoice")),
        amount_total=session.get("amount_total"),
        currency=session.get("currency") or "",
    )


def merge(known: SessionFacts, seen: SessionFacts) -> SessionFacts:
    """Join two sets of facts; an id that is known is never forgotten."""
    return SessionFacts(
        complete=known.complete or seen.complete,
        expired=known.expired or seen.expired,
        paid=known.paid or seen.paid,
        failed=known.failed or seen.failed,
        payment_intent_id=max(known.payment_intent_id, seen.payment_intent_id),
        subscription_id=max(known.subscription_id, seen.subscription_id),
        invoice_id=max(known.invoice_id, seen.invoice_id),
        amount_total=max((a for a in (known.amount_total, seen.amount_total) if a is not None), default=None),
        currency=max(known.currency, seen.currency),
    )


def payment_state(facts: SessionFacts) -> PaymentState:
    """Project the facts: paid outweighs failed, failed outweighs awaited, all three outweigh expired."""
    if facts.paid:
        return PaymentState.PAID
    if facts.failed:
        return PaymentState.FAILED
    if facts.complete:
        return PaymentState.AWAITING_FUNDS
    return PaymentState.EXPIRED if facts.expired else PaymentState.OPEN
