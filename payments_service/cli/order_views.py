"""What a person is shown of orders: a fresh checkout, a list, one order, its timeline, what it granted."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from rich.console import Console
from rich.text import Text

from payments_service.cli.money_text import money_text
from payments_service.cli.plain_words import order_state, painted, purchase_text, word
from payments_service.cli.terminal import Column, clean, print_facts, print_table
from payments_service.cli.time_text import clock_text, from_timestamp, pause_text, relative_text
from payments_service.contract.pb.payments.v1.entitlement_pb2 import Entitlement
from payments_service.contract.pb.payments.v1.operations_pb2 import TimelineEntry
from payments_service.contract.pb.payments.v1.order_pb2 import (
    Fulfillment,
    FulfillmentState,
    Mode,
    Order,
    Refund,
    SubscriptionState,
)
from payments_service.contract.pb.payments.v1.purchase_pb2 import Money

Facts = Iterator[tuple[str, Text | str]]


def show_checkout(console: Console, order: Order, checkout_url: str, now: datetime) -> None:
    """Show where to pay, and how to see what comes of it."""
    print_facts(
        console,
        [
            ("Order", order.order_id),
            ("State", order_state(order)),
            ("Sells", f"{purchase_text(order.purchase)} to {order.user_id} of {order.organization_id}"),
            ("Total", _money(order.total)),
            ("Expires", relative_text(from_timestamp(order.expire_time), now) if checkout_url else ""),
        ],
    )
    if checkout_url:
        console.print("\nPay here:")
        console.print(Text(clean(checkout_url), style="bold cyan"), soft_wrap=True)


def show_orders(console: Console, orders: Iterable[Order], now: datetime) -> None:
    """List orders."""
    columns = (
        Column("Order", fixed=True),
        Column("State"),
        Column("Total", number=True),
        Column("Purchase", from_width=100),
        Column("Organization", from_width=130),
        Column("User", from_width=150),
        Column("Made"),
    )
    print_table(console, columns, ([*_order_row(order, now)] for order in orders))


def show_order(console: Console, order: Order, now: datetime) -> None:
    """Show all that a person asks of one order."""
    print_facts(console, [*_order_facts(order), *_subscription_facts(order, now), *_time_facts(order, now)])
    if order.fulfillments:
        console.print()
        _show_fulfillments(console, order.fulfillments, now)
    if order.refunds:
        console.print()
        columns = (Column("Refund", fixed=True), Column("State"), Column("Amount", number=True), Column("Asked"))
        print_table(console, columns, (_refund_row(refund, now) for refund in order.refunds))


def show_timeline(console: Console, order: Order, entries: Iterable[TimelineEntry], now: datetime) -> None:
    """Tell an order's story, each line with the time since the one before."""
    print_facts(console, _order_facts(order))
    console.print()
    columns = (
        Column("Time"),
        Column("After", number=True, from_width=60),
        Column("Stage"),
        Column("What"),
        Column("Reference", from_width=110),
    )
    print_table(console, columns, _timeline_rows(entries, now, narrow=console.width < 110))


def show_entitlements(console: Console, entitlements: Iterable[Entitlement], now: datetime) -> None:
    """List what purchases granted."""
    columns = (
        Column("Resource"),
        Column("Active"),
        Column("Seats", number=True),
        Column("User"),
        Column("Organization", from_width=100),
        Column("Granted"),
        Column("Ends", from_width=100),
        Column("Order", from_width=130, fixed=True),
    )
    print_table(console, columns, (_entitlement_row(entitlement, now) for entitlement in entitlements))


def _order_row(order: Order, now: datetime) -> list[Text | str]:
    return [
        order.order_id,
        order_state(order),
        _money(order.total),
        purchase_text(order.purchase),
        order.organization_id,
        order.user_id,
        relative_text(from_timestamp(order.create_time), now),
    ]


def _order_facts(order: Order) -> Facts:
    yield "Order", order.order_id
    yield "State", order_state(order)
    yield "Sells", f"{purchase_text(order.purchase)} to {order.user_id} of {order.organization_id}"
    yield "Total", _money(order.total)
    yield "Refunded", _money(order.refunded) if order.refunded.minor_units else ""
    yield "Session", order.checkout_session_id
    yield "Payment", order.payment_intent_id
    yield "Pay at", order.checkout_url


def _subscription_facts(order: Order, now: datetime) -> Facts:
    if order.mode != Mode.MODE_SUBSCRIPTION:
        return
    yield "Subscription", order.subscription_id
    yield "", painted(word(SubscriptionState, order.subscription_state))
    ends = "ends" if order.cancel_at_period_end else "renews"
    period_end = relative_text(from_timestamp(order.current_period_end), now)
    yield "Period", f"{ends} {period_end}" if period_end else ""


def _time_facts(order: Order, now: datetime) -> Facts:
    yield "Made", f"{relative_text(from_timestamp(order.create_time), now)} by {order.created_by or 'nobody known'}"
    yield "Changed", f"{relative_text(from_timestamp(order.update_time), now)}, version {order.version}"
    yield "Expires", relative_text(from_timestamp(order.expire_time), now) if order.checkout_url else ""
    yield "Account", order.stripe_account
    yield "Mode", "live" if order.livemode else "test"


def _show_fulfillments(console: Console, fulfillments: Iterable[Fulfillment], now: datetime) -> None:
    columns = (
        Column("Fulfillment", fixed=True),
        Column("State"),
        Column("Tries", number=True),
        Column("Generation", number=True, from_width=100),
        Column("Result or error"),
        Column("Changed", from_width=100),
    )
    print_table(console, columns, (_fulfillment_row(fulfillment, now) for fulfillment in fulfillments))


def _fulfillment_row(fulfillment: Fulfillment, now: datetime) -> list[Text | str]:
    result = ", ".join(f"{name}={value}" for name, value in sorted(fulfillment.result.items()))
    return [
        fulfillment.fulfillment_id,
        painted(word(FulfillmentState, fulfillment.state)),
        str(fulfillment.attempts),
        str(fulfillment.generation),
        result or fulfillment.last_error,
        relative_text(from_timestamp(fulfillment.update_time), now),
    ]


def _refund_row(refund: Refund, now: datetime) -> list[Text | str]:
    return [
        refund.refund_id,
        painted(word(Refund.State, refund.state)),
        _money(refund.amount),
        relative_text(from_timestamp(refund.create_time), now),
    ]


def _timeline_rows(entries: Iterable[TimelineEntry], now: datetime, *, narrow: bool) -> Iterator[list[Text | str]]:
    before: datetime | None = None
    for entry in entries:
        time = from_timestamp(entry.time)
        after = "" if before is None or time is None else f"+{pause_text(time - before)}"
        before = time or before
        what = (
            Text.assemble(entry.summary, "\n", (entry.reference, "dim"))
            if narrow and entry.reference
            else entry.summary
        )
        yield [clock_text(time, now), after, Text(entry.stage, style="cyan"), what, Text(entry.reference, style="dim")]


def _entitlement_row(entitlement: Entitlement, now: datetime) -> list[Text | str]:
    return [
        entitlement.resource,
        Text("yes", style="green") if entitlement.active else Text("no", style="dim"),
        str(entitlement.quantity),
        entitlement.user_id,
        entitlement.organization_id,
        relative_text(from_timestamp(entitlement.grant_time), now),
        relative_text(from_timestamp(entitlement.revoke_time) or from_timestamp(entitlement.expire_time), now),
        entitlement.order_id,
    ]


def _money(money: Money) -> str:
    return money_text(money.currency_code, money.minor_units)
