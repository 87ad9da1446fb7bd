"""Tells an order's story from what each stage has stored: who asked, what Stripe said, what was done, what was told.

It reads and merges; where several things share an instant, they stand in the order of a payment's path.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TypeVar

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent
from payments_service.contract.pb.payments.v1.operations_pb2 import TimelineEntry
from payments_service.orders.order_message import timestamp
from payments_service.orders.states import FulfillmentState, StripeEventState
from payments_service.storage.database import Connection
from payments_service.storage.fulfillment_rows import FulfillmentRow, list_fulfillments
from payments_service.storage.inbox_rows import InboxRow, StripeEventFilter, list_events
from payments_service.storage.order_rows import OrderRow
from payments_service.storage.timeline_rows import LoggedEvent, TimelineRow, list_logged_events, list_timeline

STAGES = ("operator", "rpc", "stripe", "webhook", "actor", "fulfillment", "stream")
"""The contract's, in the order of the path."""
_RANKS = {stage: rank for rank, stage in enumerate(STAGES)}
R = TypeVar("R")
NEWEST = 500
"""How many events and how many fulfillments a story tells of."""


async def order_story(reading: Connection, order: OrderRow) -> list[TimelineEntry]:
    """Give the story, oldest first; who may hear it is checked before."""
    rows = [
        *await list_timeline(reading, order.order_id),
        *_each(_inbox_lines, await list_events(reading, StripeEventFilter(order_id=order.order_id), None, NEWEST)),
        *_each(_fulfillment_lines, await list_fulfillments(reading, order.order_id, None, NEWEST)),
        *map(_log_line, await list_logged_events(reading, order.order_id)),
    ]
    rows.sort(key=lambda row: (row.time, _RANKS.get(row.stage, len(STAGES))))
    return [
        TimelineEntry(time=timestamp(row.time), stage=row.stage, summary=row.summary, reference=row.reference)
        for row in rows
    ]


def _inbox_lines(event: InboxRow) -> Iterator[TimelineRow]:
    late = max((event.receive_time - event.stripe_create_time).total_seconds(), 0)
    brought = "by webhook" if event.source == "webhook" else f"by the {event.source}"
    times = "once" if event.deliveries == 1 else f"{event.deliveries} times"
    came = f"{event.type} came {brought} {late:.0f} s after Stripe made it, {times}"
    yield TimelineRow(event.receive_time, "webhook", came, event.stripe_event_id)
    yield _verdict_line(event)


def _verdict_line(event: InboxRow) -> TimelineRow:
    state = StripeEventState(event.state).name
    text = f"{event.type} is {state}"
    if event.verdict_reason:
        text += f": {event.verdict_reason}"
    if event.last_error:
        text += f"; attempt {event.attempts} failed: {event.last_error}"
    if event.settle_time is None:
        text += _next_try(event.next_attempt_time)
    return TimelineRow(event.settle_time or event.receive_time, "actor", text, event.stripe_event_id)


def _fulfillment_lines(row: FulfillmentRow) -> Iterator[TimelineRow]:
    yield TimelineRow(row.create_time, "fulfillment", f"owed for {row.source_id}", row.fulfillment_id)
    state = FulfillmentState(row.state)
    text = f"{state.name} after {row.attempts} attempt{'' if row.attempts == 1 else 's'}"
    if row.generation:
        text += f", generation {row.generation}"
    if row.last_error:
        text += f"; the last error: {row.last_error}"
    if state is FulfillmentState.PENDING:
        text += _next_try(row.next_attempt_time)
    yield TimelineRow(row.update_time, "fulfillment", text, row.fulfillment_id)


def _log_line(event: LoggedEvent) -> TimelineRow:
    name = FulfillmentEvent.Type.Name(event.type).removeprefix("TYPE_")  # type: ignore[arg-type]  # stored numbers
    return TimelineRow(event.time, "stream", f"{name} at position {event.position} of the log", event.event_id)


def _each(lines: Callable[[R], Iterator[TimelineRow]], rows: list[R]) -> Iterator[TimelineRow]:
    for row in rows:
        yield from lines(row)


def _next_try(time: datetime | None) -> str:
    return f"; next try at {time:%Y-%m-%d %H:%M:%S} UTC" if time else ""
