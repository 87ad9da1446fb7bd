"""Joins what was seen of an object into an order's facts, and names the events of having learned it. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import assert_never

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent
from payments_service.errors import PaymentsError
from payments_service.orders.dispute_facts import DisputeFacts, merge_dispute, observe_dispute
from payments_service.orders.invoice_facts import InvoiceFacts, observe_invoice
from payments_service.orders.observation import (
    DisputeSeen,
    InvoicePaymentSeen,
    InvoiceSeen,
    Observation,
    RefundSeen,
    SessionSeen,
    SubscriptionSeen,
)
from payments_service.orders.order_facts import OrderFacts, with_invoice
from payments_service.orders.session_facts import SessionFacts, merge, observe_session, payment_state
from payments_service.orders.states import PaymentState
from payments_service.orders.stripe_json import mapping, named_id
from payments_service.orders.subscription_facts import SubscriptionFacts, observe_subscription, replace_subscription

Event = FulfillmentEvent


class StaleReadingError(PaymentsError):
    """Raised when a subscription was read before another reading was written: it has to be read again."""


@dataclass(frozen=True, slots=True)
class Happening:
    """An event of having learned something; `source_id` names the payment that it is about."""

    type: FulfillmentEvent.Type.ValueType
    source_id: str = ""


def join(facts: OrderFacts, seen: Observation) -> OrderFacts:
    """Join one observation; refunds have rows of their own and change no facts here."""
    match seen:
        case SessionSeen():
            return replace(facts, session=merge(facts.session, observe_session(seen.session, seen.event_type)))
        case InvoiceSeen():
            return with_invoice(facts, observe_invoice(seen.invoice, seen.event_type))
        case InvoicePaymentSeen():
            return _with_payment(facts, seen)
        case SubscriptionSeen():
            return _with_subscription(facts, seen)
        case DisputeSeen():
            return _with_dispute(facts, observe_dispute(seen.dispute, seen.event_type))
        case RefundSeen():
            return facts
    assert_never(seen)


def happened(before: OrderFacts, after: OrderFacts, session_source: str) -> Iterator[Happening]:
    """Name the events of going from one set of facts to a larger one, in the order of a payment's life."""
    yield from _checkout_happened(before, after, session_source)
    for invoice in after.invoices.values():
        yield from _invoice_happened(before.invoices.get(invoice.invoice_id), invoice)
    yield from _subscription_happened(before.subscription, after.subscription)
    for dispute in after.disputes.values():
        yield from _dispute_happened(before.disputes.get(dispute.dispute_id), dispute)


def _checkout_happened(before: OrderFacts, after: OrderFacts, session_source: str) -> Iterator[Happening]:
    if after.session.complete and not before.session.complete:
        yield Happening(Event.TYPE_CHECKOUT_COMPLETED)
    if after.paid and not before.paid:
        paid = next((invoice.invoice_id for invoice in after.invoices.values() if invoice.paid), "")
        yield Happening(Event.TYPE_PAYMENT_SUCCEEDED, paid or session_source)
    yield from () if after.paid else _came_to_nothing(before.session, after.session)


def _came_to_nothing(before: SessionFacts, after: SessionFacts) -> Iterator[Happening]:
    if payment_state(after) == payment_state(before):
        return
    if payment_state(after) is PaymentState.FAILED:
        yield Happening(Event.TYPE_PAYMENT_FAILED)
    if payment_state(after) is PaymentState.EXPIRED:
        yield Happening(Event.TYPE_CHECKOUT_EXPIRED)


def _invoice_happened(before: InvoiceFacts | None, after: InvoiceFacts) -> Iterator[Happening]:
    known = before or InvoiceFacts(after.invoice_id)
    if not after.renews:
        return
    if after.paid and not known.paid:
        yield Happening(Event.TYPE_RENEWED, after.invoice_id)
    if after.failed and not after.paid and not known.failed:
        yield Happening(Event.TYPE_RENEWAL_FAILED, after.invoice_id)


def _subscription_happened(before: SubscriptionFacts, after: SubscriptionFacts) -> Iterator[Happening]:
    if after.ended:
        if not before.ended:
            yield Happening(Event.TYPE_SUBSCRIPTION_CANCELED)
        return
    if after.cancel_at_period_end and not before.cancel_at_period_end:
        yield Happening(Event.TYPE_SUBSCRIPTION_CANCEL_SCHEDULED)
    if after.paused != before.paused:
        yield Happening(Event.TYPE_SUBSCRIPTION_PAUSED if after.paused else Event.TYPE_SUBSCRIPTION_RESUMED)


def _dispute_happened(before: DisputeFacts | None, after: DisputeFacts) -> Iterator[Happening]:
    known = before or DisputeFacts(after.dispute_id)
    source = after.payment_intent_id or after.charge_id
    if after.opened and not known.opened:
        yield Happening(Event.TYPE_DISPUTE_OPENED, source)
    if after.won and not known.won:
        yield Happening(Event.TYPE_DISPUTE_WON, source)
    if after.is_lost and not known.is_lost:
        yield Happening(Event.TYPE_DISPUTE_LOST, source)


def _with_payment(facts: OrderFacts, seen: InvoicePaymentSeen) -> OrderFacts:
    payment = mapping(seen.invoice_payment.get("payment"))
    invoice_id = named_id(seen.invoice_payment.get("invoice"))
    if invoice_id not in facts.invoices:
        return facts
    learned = InvoiceFacts(
        invoice_id,
        payment_intent_id=named_id(payment.get("payment_intent")),
        charge_id=named_id(payment.get("charge")),
    )
    return with_invoice(facts, learned)


def _with_subscription(facts: OrderFacts, seen: SubscriptionSeen) -> OrderFacts:
    read = replace_subscription(facts.subscription, observe_subscription(seen.subscription, seen.event_type))
    if seen.asked_from is not None and seen.asked_from != facts.subscription != read:
        raise StaleReadingError("The subscription was read anew meanwhile.")
    return replace(facts, subscription=read)


def _with_dispute(facts: OrderFacts, dispute: DisputeFacts) -> OrderFacts:
    known = facts.disputes.get(dispute.dispute_id)
    merged = merge_dispute(known, dispute) if known else dispute
    return replace(facts, disputes={**facts.disputes, dispute.dispute_id: merged})
