"""What an order owes for its payments: one fulfillment for each source, whichever event tells of the payment first.

In payment mode the source is the session; in subscription mode it is always the invoice, and the session names its
first one, so that both owe one fulfillment between them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from payments_service.contract.pb.payments.v1.order_pb2 import MODE_SUBSCRIPTION
from payments_service.identifiers import new_id
from payments_service.orders.invoice_facts import InvoiceFacts
from payments_service.orders.order_facts import OrderFacts
from payments_service.orders.states import FulfillmentState
from payments_service.orders.stripe_json import instant
from payments_service.storage.database import Connection
from payments_service.storage.fulfillment_rows import FulfillmentRow, insert_fulfillment, mark_fulfillment
from payments_service.storage.order_rows import OrderRow


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment that has come in, as far as it is known."""

    source_id: str
    amount: int
    """In minor units."""
    currency: str
    payment_intent_id: str = ""
    charge_id: str = ""
    period_start: datetime | None = None
    period_end: datetime | None = None


def session_source(order: OrderRow, facts: OrderFacts, session_id: str) -> str:
    """Name the source of what a paid session owes; empty where its invoice is not known yet."""
    if order.mode == MODE_SUBSCRIPTION or facts.session.subscription_id:
        return facts.session.invoice_id
    return session_id


def payments_of(order: OrderRow, facts: OrderFacts, session_id: str) -> Iterator[Payment]:
    """Name every payment for which something is owed."""
    source = session_source(order, facts, session_id)
    if facts.session.paid and source and source not in facts.invoices:
        yield Payment(source, facts.session.amount_total or 0, facts.session.currency, facts.session.payment_intent_id)
    for invoice in facts.invoices.values():
        first = facts.session.paid and invoice.invoice_id == source
        if first or (invoice.paid and invoice.owes):
            yield _invoice_payment(invoice, facts.session.amount_total or 0 if first else 0)


async def owe(tx: Connection, order: OrderRow, payment: Payment, now: datetime) -> FulfillmentRow | None:
    """Owe a fulfillment for a payment; None where it is owed already."""
    values: dict[str, Any] = {
        "fulfillment_id": new_id("ful"),
        "order_id": order.order_id,
        "organization_id": order.organization_id,
        "purchase_type": order.purchase_type,
        "source_id": payment.source_id,
        "state": FulfillmentState.PENDING,
        "result": {},
        "amount_minor_units": payment.amount,
        "currency_code": payment.currency,
        "payment_intent_id": payment.payment_intent_id or None,
        "charge_id": payment.charge_id or None,
        "period_start": payment.period_start,
        "period_end": payment.period_end,
        "create_time": now,
        "update_time": now,
    }
    return await insert_fulfillment(tx, values)


async def learn(tx: Connection, row: FulfillmentRow, payment: Payment) -> bool:
    """Add to a fulfillment what was learned of its payment since; says whether there was anything."""
    learned = {
        "amount_minor_units": max(payment.amount, row.amount_minor_units),
        "payment_intent_id": payment.payment_intent_id or row.payment_intent_id,
        "charge_id": payment.charge_id or row.charge_id,
        "period_start": payment.period_start or row.period_start,
        "period_end": payment.period_end or row.period_end,
    }
    if all(getattr(row, name) == value for name, value in learned.items()):
        return False
    await mark_fulfillment(tx, row.fulfillment_id, learned)
    return True


def _invoice_payment(invoice: InvoiceFacts, at_least: int) -> Payment:
    return Payment(
        source_id=invoice.invoice_id,
        amount=max(invoice.amount_paid, at_least),
        currency=invoice.currency,
        payment_intent_id=invoice.payment_intent_id,
        charge_id=invoice.charge_id,
        period_start=instant(invoice.period_start) if invoice.subscription_id else None,
        period_end=instant(invoice.period_end) if invoice.subscription_id else None,
    )
