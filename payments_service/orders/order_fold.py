"""Folds what Stripe says into an order: facts join, and states, fulfillments and events follow from them.

Webhook, API reply and reconciler come through here alike, in any order and any number; the order is locked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from typing import Any

from payments_service.orders.facts_join import Happening, happened, join
from payments_service.orders.observation import Observation, RefundSeen, SessionSeen
from payments_service.orders.order_facts import (
    OrderFacts,
    facts_from_json,
    facts_to_json,
    order_payment_state,
    order_subscription_state,
)
from payments_service.orders.order_parts import OrderBooks
from payments_service.orders.owing import Payment, learn, owe, payments_of, session_source
from payments_service.orders.refund_facts import observe_refund
from payments_service.orders.refund_fold import RefundChange, payment_of, write_refund
from payments_service.orders.revocation import apply_standing
from payments_service.orders.states import FulfillmentState, PaymentState, StripeEventState
from payments_service.orders.stripe_json import instant, named_id
from payments_service.orders.transition import Occurrence, Story, move_order
from payments_service.storage.database import Connection
from payments_service.storage.fulfillment_rows import FulfillmentRow, list_all_fulfillments
from payments_service.storage.inbox_rows import release_deferred
from payments_service.storage.order_rows import OrderRow
from payments_service.storage.refund_rows import list_refunds

NEVER_OPENED = frozenset({PaymentState.CREATING, PaymentState.REJECTED})


@dataclass(frozen=True, slots=True)
class Folded:
    """The order after the fold, and the fulfillments that are due for work since."""

    order: OrderRow
    changed: bool
    due_fulfillment_ids: tuple[str, ...] = ()


async def fold_session(
    tx: Connection, order: OrderRow, session: Mapping[str, Any], event_type: str, now: datetime
) -> Folded:
    """Fold a session; `event_type` is empty for a reply of the API."""
    return await fold(tx, order, [SessionSeen(session, event_type)], now)


async def fold(tx: Connection, order: OrderRow, seen: Sequence[Observation], now: datetime) -> Folded:
    """Join what was seen into the locked order; raises StaleReadingError where a reading must be repeated."""
    known = facts_from_json(order.facts)
    facts = reduce(join, seen, known)
    session = next((one.session for one in seen if isinstance(one, SessionSeen)), None)
    session_id = named_id(session) or order.checkout_session_id or ""
    # Owing tells the log: an order of version 0 owes nothing yet.
    before = await list_all_fulfillments(tx, order.order_id) if order.version else []
    owed = await _owe(tx, order, before, list(payments_of(order, facts, session_id)), now)
    payments = await _payments_after(tx, order, before, owed)
    written = await _write_refunds(tx, order, payments, seen, now)
    opened = session is not None and (order.checkout_session_id != session_id or order.payment_state in NEVER_OPENED)
    if facts == known and not owed.changed and not written and not opened:
        return Folded(order, changed=False)
    # A refund names a payment: where none was known before, there is none to read.
    refunds = await list_refunds(tx, order.order_id) if before or order.payment_intent_id or written else []
    step = _Step(known, facts, session, session_id, OrderBooks(payments, refunds), owed, written)
    return await _move(tx, order, step, now)


@dataclass(frozen=True, slots=True)
class _Owed:
    rows: Sequence[FulfillmentRow]
    learned: bool

    @property
    def changed(self) -> bool:
        return self.learned or bool(self.rows)


@dataclass(frozen=True, slots=True)
class _Step:
    known: OrderFacts
    facts: OrderFacts
    session: Mapping[str, Any] | None
    session_id: str
    books: OrderBooks
    owed: _Owed
    refunds: Sequence[RefundChange]


async def _owe(
    tx: Connection, order: OrderRow, known: Sequence[FulfillmentRow], payments: Sequence[Payment], now: datetime
) -> _Owed:
    """Owe what is new, and add what was learned of payments that are known."""
    rows = {row.source_id: row for row in known}
    owed: list[FulfillmentRow] = []
    learned = False
    for payment in payments:
        if payment.source_id in rows:
            learned = await learn(tx, rows[payment.source_id], payment) or learned
        elif row := await owe(tx, order, payment, now):
            owed.append(row)
    return _Owed(owed, learned)


async def _payments_after(
    tx: Connection, order: OrderRow, before: Sequence[FulfillmentRow], owed: _Owed
) -> Sequence[FulfillmentRow]:
    """Give all payments, newest first."""
    if owed.learned:
        return await list_all_fulfillments(tx, order.order_id)
    return sorted([*before, *owed.rows], key=lambda row: (row.create_time, row.fulfillment_id), reverse=True)


async def _write_refunds(
    tx: Connection, order: OrderRow, payments: Sequence[FulfillmentRow], seen: Sequence[Observation], now: datetime
) -> list[RefundChange]:
    told = [observe_refund(one.refund) for one in seen if isinstance(one, RefundSeen)]
    written = [await write_refund(tx, order, payments, refund, now) for refund in told]
    return [change for change in written if change is not None]


async def _move(tx: Connection, order: OrderRow, step: _Step, now: datetime) -> Folded:
    await _release(tx, step)
    standing = await apply_standing(tx, order.order_id, step.books, step.facts, now)
    source = session_source(order, step.facts, step.session_id)
    occurrences = [
        *(_occurrence(happening, step.books.payments) for happening in happened(step.known, step.facts, source)),
        *(
            Occurrence(kind, change.after.fulfillment_id or "", change.after)
            for change in step.refunds
            for kind in change.happened()
        ),
        *standing.occurrences,
    ]
    changes = _columns(order, step, standing.books)
    owed = [row.fulfillment_id for row in step.owed.rows]
    moved = await move_order(tx, order, changes, Story(occurrences, standing.books.parts), now)
    return Folded(moved, changed=True, due_fulfillment_ids=(*owed, *standing.due_fulfillment_ids))


def _occurrence(happening: Happening, rows: Sequence[FulfillmentRow]) -> Occurrence:
    """Name the fulfillment that an event is about, by its source or by its payment."""
    row = next((row for row in rows if row.source_id == happening.source_id), None)
    if row is None and happening.source_id:
        row = payment_of(rows, happening.source_id, happening.source_id)
    return Occurrence(happening.type, row.fulfillment_id if row else "")


async def _release(tx: Connection, step: _Step) -> None:
    """Take back what waited for an order that would prove to know its payment."""
    known = {step.known.session.payment_intent_id, *(one.payment_intent_id for one in step.known.invoices.values())}
    now_known = {step.facts.session.payment_intent_id, *(one.payment_intent_id for one in step.facts.invoices.values())}
    for payment_intent_id in sorted(now_known - known - {""}):
        await release_deferred(tx, StripeEventState.DEFERRED, payment_intent_id=payment_intent_id)


def _columns(order: OrderRow, step: _Step, books: OrderBooks) -> dict[str, Any]:
    facts, payments = step.facts, books.payments
    paid = sum(row.amount_minor_units for row in payments) or facts.session.amount_total or 0
    first = min(facts.invoices.values(), key=lambda invoice: invoice.period_end, default=None)
    total = facts.session.amount_total if facts.session.amount_total is not None else first and first.amount_paid
    return {
        "facts": facts_to_json(facts),
        "payment_state": order_payment_state(facts, paid, books.refunded),
        "fulfillment_state": payments[0].state if payments else FulfillmentState.UNSPECIFIED,
        "subscription_state": order_subscription_state(facts),
        "cancel_at_period_end": facts.subscription.cancel_at_period_end and not facts.subscription.ended,
        "current_period_end": _period_end(facts),
        "total_minor_units": total,
        "refunded_minor_units": books.refunded,
        "currency_code": facts.session.currency or (first.currency if first else "") or None,
        "payment_intent_id": facts.session.payment_intent_id or (first and first.payment_intent_id) or None,
        "subscription_id": _subscription_id(facts) or None,
        **_session_columns(order, step),
    }


def _session_columns(order: OrderRow, step: _Step) -> dict[str, Any]:
    if step.session is None:
        return {}
    expires_at = step.session.get("expires_at")
    return {
        "checkout_session_id": step.session_id,
        "checkout_url": step.session.get("url") or order.checkout_url,
        "customer_id": named_id(step.session.get("customer")) or order.customer_id,
        "expire_time": datetime.fromtimestamp(expires_at, UTC) if expires_at else order.expire_time,
    }


def _subscription_id(facts: OrderFacts) -> str:
    named = [invoice.subscription_id for invoice in facts.invoices.values()]
    return facts.session.subscription_id or facts.subscription.subscription_id or max(named, default="")


def _period_end(facts: OrderFacts) -> datetime | None:
    paid = [invoice.period_end for invoice in facts.invoices.values() if invoice.paid and invoice.subscription_id]
    return instant(max([facts.subscription.current_period_end, *paid]))
