"""What Stripe has said of one object, told apart by kind; the fold joins them, whoever brought them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from payments_service.orders.stripe_json import rows
from payments_service.orders.subscription_facts import SubscriptionFacts

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SessionSeen:
    """A checkout session; `event_type` is empty for a reply of the API."""

    session: Json
    event_type: str = ""


@dataclass(frozen=True, slots=True)
class InvoiceSeen:
    """An invoice."""

    invoice: Json
    event_type: str = ""


@dataclass(frozen=True, slots=True)
class InvoicePaymentSeen:
    """Which payment has paid an invoice: recent API versions tell it apart from the invoice."""

    invoice_payment: Json


@dataclass(frozen=True, slots=True)
class SubscriptionSeen:
    """A subscription; a reading of its present state says what was known when it was asked for."""

    subscription: Json
    event_type: str = ""
    asked_from: SubscriptionFacts | None = None


@dataclass(frozen=True, slots=True)
class RefundSeen:
    """A refund."""

    refund: Json


@dataclass(frozen=True, slots=True)
class DisputeSeen:
    """A dispute."""

    dispute: Json
    event_type: str = ""


Observation = SessionSeen | InvoiceSeen | InvoicePaymentSeen | SubscriptionSeen | RefundSeen | DisputeSeen

SESSION_TYPES = frozenset(
    {
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
        "checkout.session.expired",
    }
)
INVOICE_TYPES = frozenset(
    {
        "invoice.paid",
        "invoice.payment_succeeded",
        "invoice.payment_failed",
        "invoice.payment_action_required",
    }
)
READ_TYPES = frozenset(
    {
        "customer.subscription.updated",
        "customer.subscription.paused",
        "customer.subscription.resumed",
    }
)
"""Types whose object is a register: what it is now is asked for."""
SUBSCRIPTION_TYPES = READ_TYPES | {"customer.subscription.deleted"}
REFUND_TYPES = frozenset({"refund.created", "refund.updated", "refund.failed", "charge.refund.updated"})
DISPUTE_TYPES = frozenset(
    {
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.closed",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
    }
)
CHARGE_REFUNDED_TYPE = "charge.refunded"
INVOICE_PAYMENT_TYPE = "invoice_payment.paid"
FOLDED_TYPES = (
    SESSION_TYPES
    | INVOICE_TYPES
    | SUBSCRIPTION_TYPES
    | REFUND_TYPES
    | DISPUTE_TYPES
    | {CHARGE_REFUNDED_TYPE, INVOICE_PAYMENT_TYPE}
)
"""All types that may change an order; every other one changes nothing."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What Stripe was asked, before the transaction, of an event whose object does not say enough."""

    observations: tuple[Observation, ...] = ()
    stripe_object: Json | None = None
    """The object as it is now, where an operator replays an event after mending it at Stripe."""


def observations_of(event_type: str, stripe_object: Json) -> list[Observation]:
    """Say what an event of a folded type has seen by itself."""
    if event_type == CHARGE_REFUNDED_TYPE:
        return [RefundSeen(refund) for refund in rows(stripe_object.get("refunds"))]
    if event_type in REFUND_TYPES:
        return [RefundSeen(stripe_object)]
    if event_type == INVOICE_PAYMENT_TYPE:
        return [InvoicePaymentSeen(stripe_object)]
    return [_KINDS[event_type](stripe_object, event_type)]


_KINDS: dict[str, Callable[[Json, str], Observation]] = {
    **dict.fromkeys(SESSION_TYPES, SessionSeen),
    **dict.fromkeys(INVOICE_TYPES, InvoiceSeen),
    **dict.fromkeys(SUBSCRIPTION_TYPES, SubscriptionSeen),
    **dict.fromkeys(DISPUTE_TYPES, DisputeSeen),
}
