"""What a person is shown of events: Stripe's with their verdicts, what a replay changes, the stream's lines."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from rich.console import Console
from rich.text import Text

from payments_service.cli.money_text import money_text
from payments_service.cli.plain_words import painted, plain, purchase_text, word
from payments_service.cli.terminal import Column, clean, print_facts, print_table
from payments_service.cli.time_text import clock_text, from_timestamp, relative_text, span_text
from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent
from payments_service.contract.pb.payments.v1.operations_pb2 import Change, GetStatusResponse
from payments_service.contract.pb.payments.v1.stripe_event_pb2 import StripeEvent

_STATE_PREFIXES = ("PAYMENT_STATE_", "FULFILLMENT_STATE_", "SUBSCRIPTION_STATE_", "STATE_")
_TYPE_WIDTH = 22
_FOR_THE_OWNER = frozenset({FulfillmentEvent.TYPE_FULFILLMENT_REQUESTED, FulfillmentEvent.TYPE_FULFILLMENT_FAILED})
"""Events to which somebody answers by the fulfillment's id."""


def show_stripe_events(console: Console, events: Iterable[StripeEvent], now: datetime) -> None:
    """List Stripe's events, each with its verdict and why."""
    columns = (
        Column("Event", fixed=True),
        Column("Type and verdict"),
        Column("Order", fixed=True, from_width=140),
        Column("Brought", number=True, from_width=100),
        Column("Tries", number=True, from_width=100),
        Column("Came"),
    )
    print_table(console, columns, (_stripe_event_row(event, now, console.is_terminal) for event in events))


def show_changes(console: Console, changes: Sequence[Change], *, matched: int, dry_run: bool) -> None:
    """Show what a replay changed or would change, before beside after."""
    if changes:
        columns = (
            Column("Event", fixed=True),
            Column("Order", fixed=True, from_width=140),
            Column("Field"),
            Column("Before"),
            Column("After"),
        )
        print_table(console, columns, _change_rows(changes))
        console.print()
    what = f"{_count(matched, 'event')} replayed: {_count(len(changes), 'field')} changed."
    if dry_run:
        what = (
            f"Dry run over {_count(matched, 'event')}: {_count(len(changes), 'field')} would change; "
            "nothing was changed."
        )
    console.print(what)


def show_status(console: Console, status: GetStatusResponse, now: datetime) -> None:
    """Show how the service is doing; what needs somebody is red."""
    age = status.oldest_pending_age.ToTimedelta()
    waiting = f", the oldest for {span_text(age)}" if status.pending_stripe_events else ""
    print_facts(
        console,
        [
            ("Version", status.version),
            ("Mode", "live" if status.livemode else "test"),
            ("Stripe events", f"{status.pending_stripe_events} pending{waiting}"),
            ("", _failed(status.failed_stripe_events, "payments events --state failed")),
            ("Fulfillments", f"{status.pending_fulfillments} pending"),
            ("", _failed(status.failed_fulfillments, "payments orders --fulfillment failed")),
            ("Log", f"{_count(status.log_head, 'event')}"),
            ("Reconciled", relative_text(from_timestamp(status.last_reconcile_time), now) or "never"),
            ("Database", status.database),
            ("Broker", status.broker),
        ],
    )


def event_text(event: FulfillmentEvent, now: datetime, *, one_line: bool) -> Text:
    """Write one event of the stream: what happened to what, then the ids to go on with."""
    kind = painted(word(FulfillmentEvent.Type, event.type))
    kind.pad_right(max(_TYPE_WIDTH - len(kind), 0))
    time = Text(clock_text(from_timestamp(event.occur_time), now), style="dim")
    gap = "  " if one_line else "\n" + " " * (len(time) + 2)
    references = [(gap + _joined(line), "dim") for line in _references(event)]
    return Text.assemble(time, "  ", kind, "  ", _joined(_matter(event)), *references)


def _matter(event: FulfillmentEvent) -> Iterator[str]:
    if event.HasField("unclaimed"):
        yield event.unclaimed.stripe_type
        return
    yield purchase_text(event.order.purchase)
    money = event.refund.amount if event.HasField("refund") else event.order.total
    yield money_text(money.currency_code, money.minor_units)


def _references(event: FulfillmentEvent) -> Iterator[Iterable[str]]:
    """Give lines of ids, each short enough for a narrow terminal."""
    if event.HasField("unclaimed"):
        yield event.unclaimed.stripe_event_id, event.unclaimed.reason
        return
    yield event.order_id, f"{event.order.user_id} of {event.organization_id}"
    if event.type in _FOR_THE_OWNER:
        yield event.fulfillment.fulfillment_id, event.fulfillment.last_error


def _joined(texts: Iterable[str]) -> str:
    return clean("  ".join(filter(None, texts)))


def _stripe_event_row(event: StripeEvent, now: datetime, stacked: bool) -> list[Text | str]:
    verdict = Text(clean(event.last_error or event.verdict_reason), style="dim")
    return [
        event.stripe_event_id,
        Text.assemble(
            clean(event.type), "\n" if stacked else "  ", painted(word(StripeEvent.State, event.state)), "  ", verdict
        ),
        event.order_id,
        str(event.deliveries),
        str(event.attempts),
        relative_text(from_timestamp(event.receive_time), now),
    ]


def _change_rows(changes: Iterable[Change]) -> Iterator[list[Text | str]]:
    shown = ""
    for change in changes:
        first = change.stripe_event_id != shown
        shown = change.stripe_event_id
        named = [change.stripe_event_id, change.order_id] if first else ["", ""]
        yield [*named, plain(change.field), _value(change.before), _value(change.after)]


def _value(text: str) -> Text:
    """Write a state in words; an empty value as a dash."""
    for prefix in _STATE_PREFIXES:
        if text.startswith(prefix):
            return painted(plain(text.removeprefix(prefix)).replace("unspecified", "-"))
    return Text(clean(text) or "-")


def _failed(count: int, command: str) -> Text:
    return Text(f"{count} failed: {command}", style="red") if count else Text("")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
