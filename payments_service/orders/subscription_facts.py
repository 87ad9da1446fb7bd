"""What is known of one subscription.

Its end is a fact that stays. Its status, its pausing and its cancellation at the period's end go back and forth, so
no order of events tells them: they are read from Stripe as they are now (inbox/enquiry.py), one reading at a time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from payments_service.orders.states import SubscriptionState
from payments_service.orders.stripe_json import mapping, named_id, rows, text, whole

DELETED_TYPE = "customer.subscription.deleted"
_STATES = {
    "active": SubscriptionState.ACTIVE,
    "past_due": SubscriptionState.PAST_DUE,
    "paused": SubscriptionState.PAUSED,
    "canceled": SubscriptionState.CANCELED,
    "trialing": SubscriptionState.TRIALING,
    "unpaid": SubscriptionState.UNPAID,
    "incomplete": SubscriptionState.INCOMPLETE,
    "incomplete_expired": SubscriptionState.CANCELED,
}


@dataclass(frozen=True, slots=True)
class SubscriptionFacts:
    """Facts of a `subscription` object."""

    subscription_id: str = ""
    status: str = ""
    """As last read; empty where it was never read."""
    paused: bool = False
    cancel_at_period_end: bool = False
    ended: bool = False
    ended_at: int = 0
    """Seconds."""
    current_period_end: int = 0
    latest_invoice_id: str = ""


def observe_subscription(subscription: Mapping[str, Any], event_type: str = "") -> SubscriptionFacts:
    """Read the facts from Stripe's JSON; since 2025-03-31 the period stands with the items."""
    ends = [whole(item.get("current_period_end")) or 0 for item in rows(subscription.get("items"))]
    ended_at = whole(subscription.get("ended_at")) or whole(subscription.get("canceled_at")) or 0
    ended = event_type == DELETED_TYPE or subscription.get("status") in {"canceled", "incomplete_expired"}
    return SubscriptionFacts(
        subscription_id=named_id(subscription),
        status=text(subscription.get("status")),
        paused=bool(mapping(subscription.get("pause_collection"))) or subscription.get("status") == "paused",
        cancel_at_period_end=subscription.get("cancel_at_period_end") is True or _cancels_later(subscription),
        ended=ended,
        ended_at=ended_at if ended else 0,
        current_period_end=max([whole(subscription.get("current_period_end")) or 0, *ends]),
        latest_invoice_id=named_id(subscription.get("latest_invoice")),
    )


def replace_subscription(known: SubscriptionFacts, read: SubscriptionFacts) -> SubscriptionFacts:
    """Take a newer reading; that it has ended, and how far it was paid, is never forgotten."""
    return SubscriptionFacts(
        subscription_id=read.subscription_id or known.subscription_id,
        status=read.status,
        paused=read.paused,
        cancel_at_period_end=read.cancel_at_period_end,
        ended=known.ended or read.ended,
        ended_at=known.ended_at or read.ended_at,
        current_period_end=max(known.current_period_end, read.current_period_end),
        latest_invoice_id=read.latest_invoice_id,
    )


def subscription_state(facts: SubscriptionFacts, *, behind: bool) -> SubscriptionState:
    """Project the facts; `behind` says that the newest invoice has failed and is not paid."""
    if facts.ended:
        return SubscriptionState.CANCELED
    if facts.paused:
        return SubscriptionState.PAUSED
    state = _STATES.get(facts.status, SubscriptionState.ACTIVE)
    settled = {SubscriptionState.ACTIVE, SubscriptionState.PAST_DUE}
    if state in settled:
        return SubscriptionState.PAST_DUE if behind else SubscriptionState.ACTIVE
    return state


def _cancels_later(subscription: Mapping[str, Any]) -> bool:
    return whole(subscription.get("cancel_at")) is not None and subscription.get("status") != "canceled"
