"""Shows the fulfillment stream as it comes, one line an event, and says at the end where to go on from."""

import asyncio
import base64
import binascii
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import typer
from google.protobuf.duration_pb2 import Duration
from rich.console import Console

from payments_service.cli.call_target import call_target
from payments_service.cli.event_views import event_text
from payments_service.cli.fulfillment_feed import HEARTBEAT, FulfillmentFeed
from payments_service.cli.option_types import EventTypeWord
from payments_service.cli.plain_words import numbers, purchase_type
from payments_service.cli.terminal import notices, output, print_json_line
from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import (
    FulfillmentEvent,
    FulfillmentFilter,
    StartPosition,
)
from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import (
    StreamFulfillmentsRequest,
    StreamFulfillmentsResponse,
)
from payments_service.settings import read_settings

ONE_LINE_WIDTH = 140


@dataclass(frozen=True, slots=True)
class TailOptions:
    """The options as they were given."""

    start: str
    organizations: Sequence[str]
    purchase_types: Sequence[str]
    event_types: Sequence[EventTypeWord]
    orders: Sequence[str]
    follow: bool
    limit: int | None
    as_json: bool


def run_tail(options: TailOptions) -> None:
    """Tail until there is no more to come, or until somebody interrupts."""
    notice_console = notices()
    tail = StreamTail(options, output())
    target = call_target(read_settings())
    feed = FulfillmentFeed(
        target, stream_request(options), partial(notice_console.print, soft_wrap=True), random.random
    )
    if options.follow and notice_console.is_terminal:
        notice_console.print(f"The fulfillment stream of {target.address}; Ctrl-C ends it.", style="dim")
    try:
        asyncio.run(tail.run(feed))
    except KeyboardInterrupt:
        if tail.cursor:
            notice_console.print(f"\nTo go on from here: --from {_encoded(tail.cursor)}", style="dim", soft_wrap=True)
        raise typer.Exit(130) from None


def stream_request(options: TailOptions) -> StreamFulfillmentsRequest:
    """Fill in the request; raises typer.BadParameter where the start is none."""
    return StreamFulfillmentsRequest(
        filter=FulfillmentFilter(
            organization_ids=options.organizations,
            purchase_types=[purchase_type(spoken) for spoken in options.purchase_types],
            types=numbers(FulfillmentEvent.Type, options.event_types),
            order_ids=options.orders,
        ),
        start=start_position(options.start),
        max_batch_size=500,
        heartbeat_interval=Duration(seconds=HEARTBEAT),
    )


def start_position(text: str) -> StartPosition:
    """Read `earliest`, `latest`, a time or a cursor; raises typer.BadParameter."""
    if text == "earliest":
        return StartPosition(earliest=True)
    if text == "latest":
        return StartPosition(latest=True)
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return StartPosition(cursor=_decoded(text))
    position = StartPosition()
    position.time.FromDatetime(time.astimezone(UTC))
    return position


class StreamTail:
    """Prints what a feed brings, and keeps the cursor of the last line."""

    def __init__(self, options: TailOptions, console: Console) -> None:
        """Take where to print."""
        self._options = options
        self._console = console
        self._left = options.limit
        self.cursor = b""

    async def run(self, feed: FulfillmentFeed) -> None:
        """Print until enough was printed; raises CallFailedError."""
        async for response in feed.responses():
            if self._take(response):
                return

    def _take(self, response: StreamFulfillmentsResponse) -> bool:
        """Print a response's events; say whether that was enough."""
        for event in response.events:
            self._print(event)
            self.cursor = event.cursor
            if self._left is not None:
                self._left -= 1
                if self._left == 0:
                    return True
        self.cursor = response.cursor
        return response.HasField("caught_up") and not self._options.follow

    def _print(self, event: FulfillmentEvent) -> None:
        if self._options.as_json:
            print_json_line(event)
        else:
            text = event_text(event, datetime.now(UTC), one_line=self._console.width >= ONE_LINE_WIDTH)
            self._console.print(text, soft_wrap=True)


def _decoded(text: str) -> bytes:
    try:
        cursor = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error:
        cursor = b""
    if not cursor:
        message = f"{text!r} is neither earliest, latest, a time such as 2026-11-24T10:00 nor a cursor"
        raise typer.BadParameter(message, param_hint="--from")
    return cursor


def _encoded(cursor: bytes) -> str:
    return base64.b64encode(cursor).decode()
