"""Folds what Stripe says of a checkout session into its order: facts join, states and events follow from them.

Webhook, API reply and reconciler come through here alike, in any order and any number.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent
from payments_service.contract.pb.payments.v1.order_pb2 import MODE_SUBSCRIPTION
from payments_service.identifiers import new_id
from payments_service.orders.session_facts import SessionFacts, merge, observe_session, payment_state
from payments_service.orders.states import FulfillmentState, PaymentState, StripeEventState
from payments_service.orders.transition import Occurrence, move_order
from payments_service.storage.database import Connection
from payments_service.storage.fulfillment_rows import insert_fulfillment
from payments_service.storage.inbox_rows import release_deferred
from payments_service.storage.order_rows import OrderRow

NEVER_OPENED = frozenset({PaymentState.CREATING, PaymentState.REJECTED})


@dataclass(frozen=True, slots=True)
class Folded:
    """The order after the fold, and the fulfillment that it has come to owe."""

    order: OrderRow
    changed: bool
    owed_fulfillment_id: str | None = None


async def fold_session(
    tx: Connection, order: OrderRow, session: Mapping[str, Any], event_type: str, now: datetime
) -> Folded:
    """Join the session's facts to the locked order's; `event_type` is empty for a reply of the API."""
    known = known_session(order)
    facts = merge(known, observe_session(session, event_type))
    if facts == known and order.checkout_session_id == session["id"] and order.payment_state not in NEVER_OPENED:
        return Folded(order, changed=False)
    owed = await _owe(tx, order, facts, str(session["id"]), now)
    changes = _columns(order, session, facts)
    if owed:
        changes["fulfillment_state"] = FulfillmentState.PENDING
    if facts.payment_intent_id and not known.payment_intent_id:
        await release_deferred(tx, StripeEventState.DEFERRED, payment_intent_id=facts.payment_intent_id)
    occurrences = [Occurrence(kind, owed or "") for kind in happened(known, facts)]
    return Folded(await move_order(tx, order, changes, occurrences, now), changed=True, owed_fulfillment_id=owed)


def known_session(order: OrderRow) -> SessionFacts:
    """Read the facts that the order holds of its session."""
    return SessionFacts(**order.facts.get("session", {}))


def happened(before: SessionFacts, after: SessionFacts) -> Iterator[FulfillmentEvent.Type.ValueType]:
    """Name the events of going from one set of facts to a larger one, in the order of a payment's life."""
    if after.complete and not before.complete:
        yield FulfillmentEvent.TYPE_CHECKOUT_COMPLETED
    if after.paid and not before.paid:
        yield FulfillmentEvent.TYPE_PAYMENT_SUCCEEDED
    if payment_state(after) != payment_state(before):
        if payment_state(after) is PaymentState.FAILED:
            yield FulfillmentEvent.TYPE_PAYMENT_FAILED
        if payment_state(after) is PaymentState.EXPIRED:
            yield FulfillmentEvent.TYPE_CHECKOUT_EXPIRED


async def _owe(tx: Connection, order: OrderRow, facts: SessionFacts, session_id: str, now: datetime) -> str | None:
    """Owe one fulfillment for a paid session; the source is its invoice where it started a subscription."""
    source = facts.invoice_id if order.mode == MODE_SUBSCRIPTION else session_id
    if not facts.paid or not source:
        return None
    values = {
        "fulfillment_id": new_id("ful"),
        "order_id": order.order_id,
        "organization_id": order.organization_id,
        "purchase_type": order.purchase_type,
        "source_id": source,
        "state": FulfillmentState.PENDING,
        "result": {},
        "amount_minor_units": facts.amount_total or 0,
        "currency_code": facts.currency,
        "payment_intent_id": facts.payment_intent_id or None,
        "create_time": now,
        "update_time": now,
    }
    return str(values["fulfillment_id"]) if await insert_fulfillment(tx, values) else None


def _columns(order: OrderRow, session: Mapping[str, Any], facts: SessionFacts) -> dict[str, Any]:
    expires_at = session.get("expires_at")
    return {
        "facts": {**order.facts, "session": asdict(facts)},
        "payment_state": payment_state(facts),
        "checkout_session_id": session["id"],
        "checkout_url": session.get("url") or order.checkout_url,
        "payment_intent_id": facts.payment_intent_id or None,
        "subscription_id": facts.subscription_id or None,
        "total_minor_units": facts.amount_total,
        "currency_code": facts.currency or None,
        "expire_time": datetime.fromtimestamp(expires_at, UTC) if expires_at else order.expire_time,
    }
