"""What is known of one invoice; facts only grow, and the newest API versions and old ones are read alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from payments_service.orders.stripe_json import mapping, named_id, rows, text, whole

PAID_TYPES = frozenset({"invoice.paid", "invoice.payment_succeeded"})
FAILED_TYPE = "invoice.payment_failed"
ACTION_TYPE = "invoice.payment_action_required"
OWING_REASONS = frozenset({"subscription_create", "subscription_cycle"})
"""Why an invoice was made that something is owed for; an update's proration is not one of them."""
FIRST_REASON = "subscription_create"


@dataclass(frozen=True, slots=True)
class InvoiceFacts:
    """Facts of an `invoice` object; each goes from unknown to known and stays."""

    invoice_id: str
    paid: bool = False
    failed: bool = False
    """An attempt to collect it has failed, or needs the buyer; a later one may succeed."""
    billing_reason: str = ""
    subscription_id: str = ""
    payment_intent_id: str = ""
    charge_id: str = ""
    amount_paid: int = 0
    """In minor units."""
    currency: str = ""
    period_start: int = 0
    """Seconds; of what it pays for."""
    period_end: int = 0

    @property
    def owes(self) -> bool:
        """Whether something is owed once it is paid; an invoice of no subscription pays for what its metadata says."""
        return self.billing_reason in OWING_REASONS if self.subscription_id else True

    @property
    def renews(self) -> bool:
        """Whether it pays for a later period of a subscription."""
        return bool(self.subscription_id) and self.billing_reason != FIRST_REASON and self.owes


def observe_invoice(invoice: Mapping[str, Any], event_type: str = "") -> InvoiceFacts:
    """Read the facts from Stripe's JSON."""
    payment = _payment(invoice)
    period = mapping(_line(invoice).get("period"))
    return InvoiceFacts(
        invoice_id=named_id(invoice),
        paid=invoice.get("status") == "paid" or invoice.get("paid") is True or event_type in PAID_TYPES,
        failed=event_type in {FAILED_TYPE, ACTION_TYPE},
        billing_reason=text(invoice.get("billing_reason")),
        subscription_id=invoice_subscription(invoice),
        payment_intent_id=named_id(payment.get("payment_intent")),
        charge_id=named_id(payment.get("charge")),
        amount_paid=whole(invoice.get("amount_paid")) or 0,
        currency=text(invoice.get("currency")),
        period_start=whole(period.get("start")) or 0,
        period_end=whole(period.get("end")) or 0,
    )


def merge_invoice(known: InvoiceFacts, seen: InvoiceFacts) -> InvoiceFacts:
    """Join two sets of facts of the same invoice."""
    return InvoiceFacts(
        invoice_id=known.invoice_id,
        paid=known.paid or seen.paid,
        failed=known.failed or seen.failed,
        billing_reason=max(known.billing_reason, seen.billing_reason),
        subscription_id=max(known.subscription_id, seen.subscription_id),
        payment_intent_id=max(known.payment_intent_id, seen.payment_intent_id),
        charge_id=max(known.charge_id, seen.charge_id),
        amount_paid=max(known.amount_paid, seen.amount_paid),
        currency=max(known.currency, seen.currency),
        period_start=max(known.period_start, seen.period_start),
        period_end=max(known.period_end, seen.period_end),
    )


def invoice_subscription(invoice: Mapping[str, Any]) -> str:
    """Name the subscription: since 2025-03-31 below `parent`, before at the top."""
    details = mapping(mapping(invoice.get("parent")).get("subscription_details"))
    return named_id(details.get("subscription")) or named_id(invoice.get("subscription"))


def _payment(invoice: Mapping[str, Any]) -> Mapping[str, Any]:
    """Find what paid it: in `payments` where that is expanded, at the top in old API versions."""
    for row in rows(invoice.get("payments")):
        payment = mapping(row.get("payment"))
        if row.get("status", "paid") == "paid" and (payment.get("payment_intent") or payment.get("charge")):
            return payment
    return invoice


def _line(invoice: Mapping[str, Any]) -> Mapping[str, Any]:
    """Find the line that says which period is paid for: the one that ends last and is no proration."""
    lines = [line for line in rows(invoice.get("lines")) if not _is_proration(line)]
    return max(lines, key=lambda line: whole(mapping(line.get("period")).get("end")) or 0, default={})


def _is_proration(line: Mapping[str, Any]) -> bool:
    parent = mapping(mapping(line.get("parent")).get("subscription_item_details"))
    return line.get("proration") is True or parent.get("proration") is True
