"""Decides what becomes of an event before anything is written: fold it, adopt it, ignore, pass on, defer or fail it.

Pure; every verdict has a reason that an operator can read.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from payments_service.orders.observation import FOLDED_TYPES, INVOICE_TYPES, SESSION_TYPES
from payments_service.orders.ownership import Marks, Owner, owner_of
from payments_service.orders.states import StripeEventState
from payments_service.storage.inbox_rows import InboxRow
from payments_service.storage.order_rows import OrderRow

ADOPTED_TYPES = (SESSION_TYPES - {"checkout.session.expired"}) | {"invoice.paid", "invoice.payment_succeeded"}
"""Types that say that something was bought: ours without an order, an order is made from their metadata."""
DEFER_FOR = timedelta(minutes=10)


class Course(Enum):
    """What is to be done with an event."""

    SETTLE = auto()
    FOLD = auto()
    ADOPT = auto()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an event, and why; where something is still to be done, the state is that of its success."""

    state: StripeEventState
    reason: str
    course: Course = Course.SETTLE


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """What the installation says of itself."""

    livemode: bool
    claimed_types: frozenset[str] = frozenset()
    is_our_account: Callable[[str], bool] = lambda _: False
    """Whether an organization sells by a connected account."""
    forward_urls: Callable[[str], Sequence[str]] = lambda _: ()
    """Where events of a type go that are not ours."""


FOLD = Verdict(StripeEventState.APPLIED, "folded into its order", Course.FOLD)
ADOPT = Verdict(StripeEventState.APPLIED, "adopted: an order was made from its metadata", Course.ADOPT)
KNOWN = Verdict(StripeEventState.IGNORED, "the order knew it already")


def judge(event: InboxRow, marks: Marks, order: OrderRow | None, rules: ClaimRules, now: datetime) -> Verdict:
    """Judge an event by what it says of itself and by the order that was found for it."""
    if event.livemode != rules.livemode:
        return unclaimed(f"it is of Stripe's {_mode(event.livemode)} mode, this service of {_mode(rules.livemode)}")
    if order is None and event.stripe_account and not rules.is_our_account(event.stripe_account):
        return unclaimed(f"no organization sells by the connected account {event.stripe_account}")
    match owner_of(marks, known=order is not None, claimed_types=rules.claimed_types):
        case Owner.OTHERS:
            kind = f"type {marks.type!r}" if marks.type else "no purchase type"
            return unclaimed(f"its metadata has {kind} and names no order of this service")
        case Owner.UNDECIDED:
            return _undecided(event, now)
        case Owner.OURS:
            return _without_order(event, marks) if order is None else _with_order(event, marks, order)


def unclaimed(reason: str) -> Verdict:
    """Pass it on: it is not ours."""
    return Verdict(StripeEventState.UNCLAIMED, reason)


def refused(reason: str) -> Verdict:
    """Fail it: it is ours and contradicts what we know."""
    return Verdict(StripeEventState.FAILED, reason)


def _with_order(event: InboxRow, marks: Marks, order: OrderRow) -> Verdict:
    if (event.stripe_account, event.livemode) != (order.stripe_account, order.livemode):
        return refused(f"it names {order.order_id}, which belongs to another Stripe account or mode")
    if marks.organization_id and marks.organization_id != order.organization_id:
        return refused("metadata.organization_id is not that of the order; correct it at Stripe, then replay")
    if event.type not in FOLDED_TYPES:
        return Verdict(StripeEventState.IGNORED, f"{event.type} changes nothing in an order")
    other = order.checkout_session_id and order.checkout_session_id != event.object_id
    if event.type in SESSION_TYPES and other:
        return refused(f"it is of another session than the order's, {order.checkout_session_id}")
    if (
        event.type in INVOICE_TYPES
        and event.subscription_id
        and order.subscription_id
        not in {
            None,
            event.subscription_id,
        }
    ):
        return refused(f"it is of another subscription than the order's, {order.subscription_id}")
    return FOLD


def _without_order(event: InboxRow, marks: Marks) -> Verdict:
    if event.type not in ADOPTED_TYPES:
        return Verdict(StripeEventState.IGNORED, f"{event.type} makes no order, and there is none yet")
    if marks.order_id:
        return refused(f"it names the order {marks.order_id}, which is not here; restore it, then replay")
    return ADOPT


def _undecided(event: InboxRow, now: datetime) -> Verdict:
    if now - event.receive_time < DEFER_FOR:
        return Verdict(StripeEventState.DEFERRED, "it carries no metadata and names a payment that is not known yet")
    return unclaimed("it names no payment that an order of this service has made")


def _mode(livemode: bool) -> str:
    return "live" if livemode else "test"
