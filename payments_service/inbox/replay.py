"""Works on settled events again, as an operator asks; a dry run does all of it and then rolls back."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from payments_service.contract.pb.payments.v1.operations_pb2 import Change
from payments_service.contract.pb.payments.v1.order_pb2 import FulfillmentState, PaymentState, SubscriptionState
from payments_service.contract.pb.payments.v1.stripe_event_pb2 import StripeEvent
from payments_service.errors import FieldViolation, InvalidRequestError, StripeEventNotFoundError
from payments_service.inbox.enquiry import Enquiry
from payments_service.inbox.event_application import Applied, apply_event, lock_event_order
from payments_service.inbox.waker import Waker
from payments_service.orders.states import StripeEventState
from payments_service.orders.verdict import ClaimRules
from payments_service.storage.database import Database
from payments_service.storage.inbox_rows import InboxRow, StripeEventFilter, find_event, list_events, reopen_event
from payments_service.storage.order_rows import OrderRow

PageKey = tuple[datetime, str]
_SHOWN = (
    "total_minor_units",
    "refunded_minor_units",
    "checkout_session_id",
    "payment_intent_id",
    "subscription_id",
    "cancel_at_period_end",
    "current_period_end",
)


@dataclass(frozen=True, slots=True)
class ReplayPage:
    """What a replay has matched and changed, and where its next page starts."""

    matched: int
    changes: list[Change] = field(default_factory=list)
    next_key: PageKey | None = None


class _DryRunError(Exception):
    """Raised to undo a dry run, carrying what it found."""

    def __init__(self, applied: Applied) -> None:
        self.applied = applied


class EventReplay:
    """Replays events one transaction each, so that one that fails undoes no other."""

    def __init__(
        self, database: Database, enquiry: Enquiry, waker: Waker, rules: ClaimRules, clock: Callable[[], datetime]
    ) -> None:
        """Take whom to ask, and whom to wake when something came of it."""
        self._database = database
        self._enquiry = enquiry
        self._waker = waker
        self._rules = rules
        self._clock = clock

    async def replay(
        self,
        *,
        stripe_event_ids: Sequence[str],
        states: Sequence[int],
        dry_run: bool,
        after: PageKey | None,
        limit: int,
    ) -> ReplayPage:
        """Replay the named events, or a page of those in the states; raises StripeEventNotFoundError."""
        events = await self._named(stripe_event_ids) if stripe_event_ids else await self._in(states, after, limit)
        changes: list[Change] = []
        for event in events:
            applied = await self._again(event, dry_run=dry_run)
            changes.extend(_changes(event, applied))
        full = not stripe_event_ids and len(events) == limit
        next_key = (events[-1].receive_time, events[-1].stripe_event_id) if full else None
        return ReplayPage(len(events), changes, next_key)

    async def _named(self, stripe_event_ids: Sequence[str]) -> list[InboxRow]:
        found = []
        async with self._database.reading() as reading:
            for stripe_event_id in dict.fromkeys(stripe_event_ids):
                event = await find_event(reading, stripe_event_id)
                if event is None:
                    raise StripeEventNotFoundError(
                        f"There is no event {stripe_event_id} in the inbox.", stripe_event_id=stripe_event_id
                    )
                found.append(event)
        return found

    async def _in(self, states: Sequence[int], after: PageKey | None, limit: int) -> list[InboxRow]:
        async with self._database.reading() as reading:
            return await list_events(reading, StripeEventFilter(states=tuple(states)), after, limit)

    async def _again(self, event: InboxRow, *, dry_run: bool) -> Applied:
        if not event.payload:
            text = f"{event.stripe_event_id} was settled long ago and its payload is trimmed"
            raise InvalidRequestError([FieldViolation("stripe_event_ids", text)])
        answers = await self._enquiry.ask_anew(event)
        try:
            async with self._database.transaction() as tx:
                await lock_event_order(tx, event)
                reopened = await reopen_event(tx, event.stripe_event_id, StripeEventState.PENDING)
                applied = await apply_event(tx, reopened or event, answers, self._rules, self._clock())
                if dry_run:
                    raise _DryRunError(applied)
        except _DryRunError as dry:
            return dry.applied
        self._waker.poke_log()
        for fulfillment_id in applied.due_fulfillment_ids:
            self._waker.wake_fulfillment(fulfillment_id)
        return applied


def _changes(event: InboxRow, applied: Applied) -> Iterator[Change]:
    order_id = applied.after.order_id if applied.after else ""
    for name, before, after in [
        ("state", StripeEvent.State.Name(event.state), StripeEvent.State.Name(applied.verdict.state)),  # type: ignore[arg-type]
        ("verdict_reason", event.verdict_reason, applied.verdict.reason),
        *_order_changes(applied.before, applied.after),
    ]:
        if before != after:
            yield Change(
                stripe_event_id=event.stripe_event_id, order_id=order_id, field=name, before=before, after=after
            )


def _order_changes(before: OrderRow | None, after: OrderRow | None) -> Iterator[tuple[str, str, str]]:
    if before is None or after is None:
        return
    yield "order.payment_state", _payment(before), _payment(after)
    yield "order.fulfillment_state", _fulfillment(before), _fulfillment(after)
    yield "order.subscription_state", _subscription(before), _subscription(after)
    for name in _SHOWN:
        yield f"order.{name}", _text(getattr(before, name)), _text(getattr(after, name))


def _payment(order: OrderRow) -> str:
    return PaymentState.Name(order.payment_state)  # type: ignore[arg-type]  # stored numbers are the enum's


def _fulfillment(order: OrderRow) -> str:
    return FulfillmentState.Name(order.fulfillment_state)  # type: ignore[arg-type]  # stored numbers are the enum's


def _subscription(order: OrderRow) -> str:
    return SubscriptionState.Name(order.subscription_state)  # type: ignore[arg-type]  # stored numbers are the enum's


def _text(value: object) -> str:
    return "" if value is None else str(value)
