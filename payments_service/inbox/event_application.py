"""Applies one claimed event: order locked, fact folded, events staged, row settled, in one transaction.

It calls nobody outside and never settles a row that another claim has taken over.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from payments_service.errors import InvalidRequestError, PaymentsError
from payments_service.orders.adoption import adopt, read_adoption
from payments_service.orders.observation import Answers, observations_of
from payments_service.orders.order_fold import fold
from payments_service.orders.ownership import Marks, read_marks
from payments_service.orders.states import StripeEventState
from payments_service.orders.unclaimed_event import unclaimed_event
from payments_service.orders.verdict import FOLD, KNOWN, ClaimRules, Course, Verdict, judge, refused
from payments_service.scope import EVERYTHING
from payments_service.storage.database import Connection
from payments_service.storage.forward_rows import insert_forwards
from payments_service.storage.inbox_rows import InboxRow, postpone_event, settle_event
from payments_service.storage.log_rows import append_events
from payments_service.storage.order_rows import OrderRow, find_order, lock_order
from payments_service.storage.stripe_ids import StripeIds, find_order_id

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
    due_fulfillment_ids: tuple[str, ...] = ()


async def apply_event(tx: Connection, event: InboxRow, answers: Answers, rules: ClaimRules, now: datetime) -> Applied:
    """Apply an event that this worker has claimed; raises ClaimLostError, and then nothing may be committed."""
    stripe_object = answers.stripe_object or event_object(event)
    marks = read_marks(stripe_object)
    order = await _lock_order(tx, event, marks)
    verdict = judge(event, marks, order, rules, now)
    case = _Case(stripe_object, order, verdict, answers, rules.forward_urls(event.type))
    applied = await _done(tx, event, case, now)
    if not await _settle(tx, event, applied, now):
        raise ClaimLostError("Another worker has claimed the event.", stripe_event_id=event.stripe_event_id)
    return applied


async def find_event_order(reading: Connection, event: InboxRow) -> OrderRow | None:
    """Find the order that an event is about, without locking it."""
    order_id = await _order_id(reading, event, read_marks(event_object(event)))
    return await find_order(reading, order_id, EVERYTHING) if order_id else None


async def lock_event_order(tx: Connection, event: InboxRow) -> OrderRow | None:
    """Lock the order that an event is about, before the event's own row: everybody locks in this order."""
    return await _lock_order(tx, event, read_marks(event_object(event)))


def event_object(event: InboxRow) -> Mapping[str, Any]:
    """Read the object that an event is about, as it was then."""
    stripe_object: Mapping[str, Any] = json.loads(event.payload)["data"]["object"]
    return stripe_object


@dataclass(frozen=True, slots=True)
class _Case:
    stripe_object: Mapping[str, Any]
    order: OrderRow | None
    verdict: Verdict
    answers: Answers
    forward_urls: Sequence[str]


async def _done(tx: Connection, event: InboxRow, case: _Case, now: datetime) -> Applied:
    verdict, order = case.verdict, case.order
    match verdict.course:
        case Course.FOLD if order is not None:
            return await _folded(tx, event, case, order, now)
        case Course.ADOPT:
            return await _adopted(tx, event, case, now)
        case Course.SETTLE | Course.FOLD:
            if verdict.state is StripeEventState.UNCLAIMED:
                await append_events(tx, [unclaimed_event(event, verdict.reason, now)])
                await insert_forwards(tx, event.stripe_event_id, case.forward_urls, now)
            return Applied(verdict, order, order)


async def _adopted(tx: Connection, event: InboxRow, case: _Case, now: datetime) -> Applied:
    try:
        adoption = read_adoption(case.stripe_object)
    except InvalidRequestError as error:
        return Applied(refused(f"{error.message}; correct it at Stripe, then replay"), None, None)
    order = await adopt(tx, event, adoption, now)
    folded = await _folded(tx, event, case, order, now)
    return replace(folded, before=None, verdict=case.verdict if folded.verdict is not KNOWN else KNOWN)


async def _folded(tx: Connection, event: InboxRow, case: _Case, order: OrderRow, now: datetime) -> Applied:
    seen = case.answers.observations or observations_of(event.type, case.stripe_object)
    folded = await fold(tx, order, seen, now)
    return Applied(FOLD if folded.changed else KNOWN, order, folded.order, folded.due_fulfillment_ids)


async def _lock_order(tx: Connection, event: InboxRow, marks: Marks) -> OrderRow | None:
    order_id = await _order_id(tx, event, marks)
    return await lock_order(tx, order_id) if order_id else None


async def _order_id(reading: Connection, event: InboxRow, marks: Marks) -> str | None:
    if marks.order_id:
        return marks.order_id
    named = StripeIds(
        account=event.stripe_account,
        livemode=event.livemode,
        session_id=event.object_id if marks.kind == "checkout.session" else "",
        payment_intent_id=event.payment_intent_id or "",
        charge_id=event.charge_id or "",
        invoice_id=event.invoice_id or "",
        subscription_id=event.subscription_id or "",
    )
    return await find_order_id(reading, named)


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
