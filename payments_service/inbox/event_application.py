"""Applies one claimed event: order locked, fact folded, events staged, row settled, in one transaction.

It calls nobody outside and never settles a row that another claim has taken over.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from payments_service.errors import PaymentsError
from payments_service.orders.ownership import Marks, read_marks
from payments_service.orders.session_fold import Folded, fold_session
from payments_service.orders.states import StripeEventState
from payments_service.orders.unclaimed_event import unclaimed_event
from payments_service.orders.verdict import FOLD, ClaimRules, Verdict, judge
from payments_service.storage.database import Connection
from payments_service.storage.inbox_rows import InboxRow, postpone_event, settle_event
from payments_service.storage.log_rows import append_events
from payments_service.storage.order_rows import OrderRow, find_order_id_by_stripe_ids, lock_order

OPEN_STATES = (StripeEventState.PENDING, StripeEventState.DEFERRED)
DEFERRED_RETRY_SECONDS = 60.0


class ClaimLostError(PaymentsError):
    """Raised when another worker has claimed the event meanwhile: its work counts, this is undone."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of an event, and of its order."""

    verdict: Verdict
    before: OrderRow | None
    after: OrderRow | None
    owed_fulfillment_id: str | None = None


async def apply_event(tx: Connection, event: InboxRow, rules: ClaimRules, now: datetime) -> Applied:
    """Apply an event that this worker has claimed; raises ClaimLostError, and then nothing may be committed."""
    stripe_object = _object_of(event)
    marks = read_marks(stripe_object)
    order = await _lock_order(tx, event, marks)
    verdict = judge(event, marks, order, rules, now)
    applied = Applied(verdict, order, order)
    if verdict is FOLD and order is not None:
        applied = _told(order, await fold_session(tx, order, stripe_object, event.type, now))
    elif verdict.state is StripeEventState.UNCLAIMED:
        await append_events(tx, [unclaimed_event(event, verdict.reason, now)])
    if not await _settle(tx, event, applied, now):
        raise ClaimLostError("Another worker has claimed the event.", stripe_event_id=event.stripe_event_id)
    return applied


async def lock_event_order(tx: Connection, event: InboxRow) -> OrderRow | None:
    """Lock the order that an event is about, before the event's own row: everybody locks in this order."""
    return await _lock_order(tx, event, read_marks(_object_of(event)))


def _told(order: OrderRow, folded: Folded) -> Applied:
    if folded.changed:
        verdict = Verdict(StripeEventState.APPLIED, "folded into its order")
    else:
        verdict = Verdict(StripeEventState.IGNORED, "the order knew it already")
    return Applied(verdict, order, folded.order, folded.owed_fulfillment_id)


def _object_of(event: InboxRow) -> Mapping[str, Any]:
    stripe_object: Mapping[str, Any] = json.loads(event.payload)["data"]["object"]
    return stripe_object


async def _lock_order(tx: Connection, event: InboxRow, marks: Marks) -> OrderRow | None:
    if marks.order_id:
        return await lock_order(tx, marks.order_id)
    order_id = await find_order_id_by_stripe_ids(
        tx,
        session_id=event.object_id if marks.kind == "checkout.session" else None,
        payment_intent_id=event.payment_intent_id,
        subscription_id=event.subscription_id,
    )
    return await lock_order(tx, order_id) if order_id else None


async def _settle(tx: Connection, event: InboxRow, applied: Applied, now: datetime) -> bool:
    verdict, order = applied.verdict, applied.after
    values = {
        "state": verdict.state,
        "verdict_reason": verdict.reason,
        "order_id": order.order_id if order else None,
        "organization_id": order.organization_id if order else None,
        "last_error": "",
    }
    if verdict.state is StripeEventState.DEFERRED:
        # Waiting is no failed attempt: it may not use up the budget.
        waiting = {**values, "attempts": 0}
        return await postpone_event(tx, event.stripe_event_id, event.claim_epoch, DEFERRED_RETRY_SECONDS, waiting)
    settled = {**values, "settle_time": now, "next_attempt_time": None}
    return await settle_event(tx, event.stripe_event_id, event.claim_epoch, settled)
