"""All that is known of one order's money, and the states that follow from it; pure, and no fact is ever taken back.

Precedence: money that a bank took outweighs a dispute, a dispute a refund, a refund the payment itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from payments_service.orders.dispute_facts import DisputeFacts
from payments_service.orders.invoice_facts import InvoiceFacts, merge_invoice
from payments_service.orders.session_facts import SessionFacts, payment_state
from payments_service.orders.states import PaymentState, SubscriptionState
from payments_service.orders.subscription_facts import SubscriptionFacts, subscription_state

KEPT_INVOICES = 60
"""The newest ones; an older one's fulfillment stands in its own row."""


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """Facts by object, as far as they do not have rows of their own (refunds have)."""

    session: SessionFacts = field(default_factory=SessionFacts)
    invoices: Mapping[str, InvoiceFacts] = field(default_factory=dict)
    disputes: Mapping[str, DisputeFacts] = field(default_factory=dict)
    subscription: SubscriptionFacts = field(default_factory=SubscriptionFacts)

    @property
    def paid(self) -> bool:
        """Whether any money has come in."""
        return self.session.paid or any(invoice.paid for invoice in self.invoices.values())

    @property
    def newest_invoice(self) -> InvoiceFacts | None:
        """The invoice of the latest period."""
        return max(self.invoices.values(), key=lambda invoice: invoice.period_end, default=None)


def facts_from_json(stored: Mapping[str, Any]) -> OrderFacts:
    """Read what an order's row holds."""
    return OrderFacts(
        session=SessionFacts(**stored.get("session", {})),
        invoices={key: InvoiceFacts(**value) for key, value in stored.get("invoices", {}).items()},
        disputes={key: DisputeFacts(**value) for key, value in stored.get("disputes", {}).items()},
        subscription=SubscriptionFacts(**stored.get("subscription", {})),
    )


def facts_to_json(facts: OrderFacts) -> dict[str, Any]:
    """Write what an order's row is to hold."""
    return {
        "session": asdict(facts.session),
        "invoices": {key: asdict(value) for key, value in facts.invoices.items()},
        "disputes": {key: asdict(value) for key, value in facts.disputes.items()},
        "subscription": asdict(facts.subscription),
    }


def with_invoice(facts: OrderFacts, seen: InvoiceFacts) -> OrderFacts:
    """Join an invoice's facts; beyond the kept number the oldest are let go."""
    known = facts.invoices.get(seen.invoice_id)
    invoices = {**facts.invoices, seen.invoice_id: merge_invoice(known, seen) if known else seen}
    newest = sorted(invoices.values(), key=lambda invoice: invoice.period_end)[-KEPT_INVOICES:]
    return replace(facts, invoices={invoice.invoice_id: invoice for invoice in newest})


def order_payment_state(facts: OrderFacts, paid_minor_units: int, refunded_minor_units: int) -> PaymentState:
    """Project the facts; amounts are of all that was paid, and of all refunds that have succeeded."""
    disputes = facts.disputes.values()
    if any(dispute.is_lost for dispute in disputes):
        return PaymentState.CHARGED_BACK
    if any(dispute.is_open for dispute in disputes):
        return PaymentState.DISPUTED
    if refunded_minor_units:
        whole = refunded_minor_units >= paid_minor_units
        return PaymentState.REFUNDED if whole else PaymentState.PARTIALLY_REFUNDED
    return PaymentState.PAID if facts.paid else payment_state(facts.session)


def order_subscription_state(facts: OrderFacts) -> SubscriptionState:
    """Project the facts of the subscription, where there is one."""
    if not facts.subscription.subscription_id and not _subscribed(facts.invoices.values()):
        return SubscriptionState.UNSPECIFIED
    return subscription_state(facts.subscription, behind=_is_behind(facts))


def _is_behind(facts: OrderFacts) -> bool:
    """Say whether the latest period is not paid: by the newest invoice, or by Stripe's word of one not seen yet."""
    newest = facts.newest_invoice
    if newest is not None and newest.failed and not newest.paid:
        return True
    latest = facts.invoices.get(facts.subscription.latest_invoice_id)
    return facts.subscription.status == "past_due" and not (latest is not None and latest.paid)


def _subscribed(invoices: Iterable[InvoiceFacts]) -> bool:
    return any(invoice.subscription_id for invoice in invoices)
