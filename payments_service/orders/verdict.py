"""Decides what becomes of an event before anything is written: fold it, ignore it, pass it on, defer or fail it.

Pure; every verdict has a reason that an operator can read.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from payments_service.orders.ownership import Marks, Owner, owner_of
from payments_service.orders.states import StripeEventState
from payments_service.storage.inbox_rows import InboxRow
from payments_service.storage.order_rows import OrderRow

SESSION_EVENTS = frozenset(
    {
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
        "checkout.session.expired",
    }
)
MAKES_ORDERS = SESSION_EVENTS | {"invoice.paid"}
"""Types that say that something was bought: ours without an order, they may not be let go."""
DEFER_FOR = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an event, and why; PENDING says: fold it into its order."""

    state: StripeEventState
    reason: str


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """What the installation says of itself."""

    livemode: bool
    claimed_types: frozenset[str] = frozenset()


FOLD = Verdict(StripeEventState.PENDING, "to be folded into its order")


def judge(event: InboxRow, marks: Marks, order: OrderRow | None, rules: ClaimRules, now: datetime) -> Verdict:
    """Judge an event by what it says of itself and by the order that was found for it."""
    if event.livemode != rules.livemode:
        return _unclaimed(f"it is of Stripe's {_mode(event.livemode)} mode, this service of {_mode(rules.livemode)}")
    match owner_of(marks, known=order is not None, claimed_types=rules.claimed_types):
        case Owner.OTHERS:
            kind = f"type {marks.type!r}" if marks.type else "no purchase type"
            return _unclaimed(f"its metadata has {kind} and names no order of this service")
        case Owner.UNDECIDED:
            return _undecided(event, now)
        case Owner.OURS:
            return _without_order(event, marks) if order is None else _with_order(event, marks, order)


def _with_order(event: InboxRow, marks: Marks, order: OrderRow) -> Verdict:
    if (event.stripe_account, event.livemode) != (order.stripe_account, order.livemode):
        return _failed(f"it names {order.order_id}, which belongs to another Stripe account or mode")
    if marks.organization_id and marks.organization_id != order.organization_id:
        return _failed("metadata.organization_id is not that of the order; correct it at Stripe, then replay")
    if event.type not in SESSION_EVENTS:
        return Verdict(StripeEventState.IGNORED, f"{event.type} changes nothing in an order")
    if order.checkout_session_id and order.checkout_session_id != event.object_id:
        return _failed(f"it is of another session than the order's, {order.checkout_session_id}")
    return FOLD


def _without_order(event: InboxRow, marks: Marks) -> Verdict:
    if event.type not in MAKES_ORDERS:
        return Verdict(StripeEventState.IGNORED, f"{event.type} makes no order, and there is none yet")
    named = f"no order {marks.order_id}" if marks.order_id else "no order"
    return _failed(f"it is ours by its metadata, and {named} is here; adoption is not built yet: replay it then")


def _undecided(event: InboxRow, now: datetime) -> Verdict:
    if now - event.receive_time < DEFER_FOR:
        return Verdict(StripeEventState.DEFERRED, "it carries no metadata and names a payment that is not known yet")
    return _unclaimed("it names no payment that an order of this service has made")


def _mode(livemode: bool) -> str:
    return "live" if livemode else "test"


def _unclaimed(reason: str) -> Verdict:
    return Verdict(StripeEventState.UNCLAIMED, reason)


def _failed(reason: str) -> Verdict:
    return Verdict(StripeEventState.FAILED, reason)
