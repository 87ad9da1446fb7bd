"""One open StreamFulfillments: a cursor and a filter over the tailer's events, without a queue of its own.

Every response carries a cursor up to which all that matches has been sent, also where nothing matched. It yields
serialized bytes and knows no gRPC; what its caller may see is asked anew before each response.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import (
    CaughtUp,
    Draining,
    FellBehind,
    Heartbeat,
    Opened,
    StreamFulfillmentsResponse,
)
from payments_service.errors import DrainingError, HoleError, SlowConsumerError
from payments_service.event_log.cursor import decode_cursor, encode_cursor
from payments_service.event_log.event_batch import EventBatch
from payments_service.event_log.event_page import EventPage
from payments_service.event_log.response_bytes import batch_response
from payments_service.event_log.start_position import Start, encode_for_metadata, verify_cursor
from payments_service.event_log.stream_filter import stream_filter
from payments_service.event_log.stream_options import StreamOptions
from payments_service.event_log.stream_surroundings import Surroundings
from payments_service.observability.log_metrics import note_streamed
from payments_service.scope import Caller


@dataclass(slots=True)
class _Place:
    """A position of the log, and the token that stands for it."""

    position: int
    cursor: bytes


class OpenStream:
    """Made when a request has proved good; `responses` runs until the stream ends with a typed error."""

    def __init__(
        self,
        surroundings: Surroundings,
        options: StreamOptions,
        start: Start,
        current_caller: Callable[[], Caller],
        lineage: int,
    ) -> None:
        """Take the tailer's lineage from before the start was found; raises CallerNotAllowedError."""
        self._surroundings = surroundings
        self._tailer = surroundings.tailer
        self._options = options
        self._earliest = start.earliest
        self._current_caller = current_caller
        self._lineage = lineage
        self._scope = current_caller().scope
        self._matches = stream_filter(options.filter, self._scope)
        self._sent = self._examined = _Place(start.cursor.position, encode_cursor(start.cursor))
        self._page: EventPage | None = None
        self._runs: Sequence[range] = ()
        self._next = 0
        self._batch = EventBatch(options.batch_size)
        self._batch_time = self._sent_time = _now()
        self._end_time = _now() + surroundings.limits.age * (0.8 + 0.4 * surroundings.chance())
        self._seen_head = surroundings.tailer.head
        self._is_caught_up = False
        self._is_ended = False

    async def responses(self) -> AsyncGenerator[bytes, None]:
        """Yield serialized responses; ends only by raising, or when it is closed."""
        response: bytes | None = self._signal(opened=self._opened())
        while True:
            if response is None:
                await asyncio.sleep(0)
            else:
                yielded = _now()
                yield response
                self._require_pace(yielded)
            if self._is_ended:
                raise DrainingError("The stream ends here: open it again from its last cursor, elsewhere if you can.")
            response = await self._step()

    async def _step(self) -> bytes | None:
        """Look around, examine what comes next, and give the response that is due now, if one is."""
        if self._lineage != self._tailer.lineage:
            await self._verify_again()
        grown = self._tailer.growth()
        self._heed_caller()
        if self._surroundings.drained or _now() >= self._end_time:
            return self._send_batch_or(self._say_draining)
        if self._page is None:
            if turn := self._turn():
                return self._send_batch_or(turn)
            await self._turn_page()
            self._heed_caller()
        is_at_head = self._page is None
        if self._page is not None:
            self._examine(self._page)
        response = self._due()
        if response is None and is_at_head:
            await self._wait(grown)
        return response

    def _turn(self) -> Callable[[], bytes] | None:
        """Name the turn that the stream has taken between two pages."""
        if self._is_caught_up:
            return None if self._tailer.reaches(self._examined.position) else self._say_fell_behind
        return self._say_caught_up if self._examined.position >= self._seen_head else None

    async def _turn_page(self) -> None:
        self._seen_head = self._tailer.head
        expected = self._examined.position + 1
        page = await self._tailer.page_after(self._examined.position)
        if page is not None and page.first <= expected:
            self._page, self._next = page, expected - page.first
            self._choose()
        elif page is not None or expected <= self._tailer.head:
            self._tailer.hint()
            await self._verify_again()
            if page is not None:
                raise HoleError(f"In the log stands {page.first} where {expected} should.")

    async def _verify_again(self) -> None:
        """Go back to what was sent and ask the log whether it still goes on from there: it was restored, or trimmed."""
        self._lineage = self._tailer.lineage
        self._examined, self._page = self._sent, None
        self._batch = EventBatch(self._options.batch_size)
        limits = self._surroundings.limits
        await verify_cursor(self._surroundings.database, decode_cursor(self._sent.cursor), limits.ahead)

    def _heed_caller(self) -> None:
        """Raise when the caller is gone; see only what it may see now, also in the batch that waits."""
        scope = self._current_caller().scope
        if scope != self._scope:
            self._scope, self._matches = scope, stream_filter(self._options.filter, scope)
            self._batch.keep_only(self._matches)
            self._choose()

    def _choose(self) -> None:
        """Find what the stream carries of what is left of its page."""
        if self._page is not None:
            self._runs = self._matches.runs(self._page, range(self._next, len(self._page)))

    def _examine(self, page: EventPage) -> None:
        had = self._batch.count
        start, self._next = self._next, self._batch.take(page, self._runs, self._next)
        if self._next > start:
            self._examined = _Place(page.first + self._next - 1, page.cursor(self._next - 1))
        if self._next == len(page):
            self._page = None
        if not had:
            self._batch_time = _now()

    def _due(self) -> bytes | None:
        if self._batch.count and self._is_batch_due():
            return self._send_batch()
        return self._say_heartbeat() if _now() >= self._heartbeat_time() else None

    def _is_batch_due(self) -> bool:
        waited_for = min(self._batch_time + self._options.batch_delay, self._heartbeat_time())
        return self._batch.is_full or _now() >= waited_for

    def _heartbeat_time(self) -> float:
        return self._sent_time + self._options.heartbeat

    def _send_batch_or(self, signal: Callable[[], bytes]) -> bytes:
        """Send the batch that waits before any signal: the signal's cursor has passed it."""
        return self._send_batch() if self._batch.count else signal()

    def _send_batch(self) -> bytes:
        self._sent = self._examined
        batch, self._batch = self._batch, EventBatch(self._options.batch_size)
        note_streamed(batch.count)
        return batch_response(batch.frames(), self._sent.cursor, self.lag)

    def _say_caught_up(self) -> bytes:
        self._is_caught_up = True
        return self._signal(caught_up=CaughtUp())

    def _say_fell_behind(self) -> bytes:
        self._is_caught_up, self._seen_head = False, self._tailer.head
        return self._signal(fell_behind=FellBehind())

    def _say_heartbeat(self) -> bytes:
        time = Timestamp()
        time.FromDatetime(self._surroundings.clock())
        return self._signal(heartbeat=Heartbeat(server_time=time))

    def _say_draining(self) -> bytes:
        self._is_ended = True
        return self._signal(draining=Draining(reconnect_delay=_duration(self._surroundings.chance())))

    def _opened(self) -> Opened:
        return Opened(
            earliest_cursor=encode_cursor(self._earliest), heartbeat_interval=_duration(self._options.heartbeat)
        )

    def _signal(self, **signal: Message) -> bytes:
        """Serialize a response without events; its cursor has passed what did not match, too."""
        self._sent = self._examined
        response = StreamFulfillmentsResponse(cursor=self._sent.cursor, lag=self.lag, **signal)  # type: ignore[arg-type]  # each names its own field
        return response.SerializeToString()

    @property
    def lag(self) -> int:
        """How many positions of the log it has yet to examine."""
        return max(self._tailer.head - self._examined.position, 0)

    def _require_pace(self, yielded: float) -> None:
        """Cut off a client that let one response wait too long: what it holds back is the whole process's memory."""
        self._sent_time = _now()
        stall = self._surroundings.limits.stall
        if self._sent_time - yielded > stall:
            raise SlowConsumerError(
                f"The client has not read for {stall:g} s: resume from the cursor.",
                cursor=encode_for_metadata(self._sent.cursor),
            )

    async def _wait(self, grown: asyncio.Event) -> None:
        """Sleep until the log grows, something is due, or the caller must be looked at again."""
        due = min(self._heartbeat_time(), self._end_time, _now() + self._surroundings.limits.recheck)
        if self._batch.count:
            due = min(due, self._batch_time + self._options.batch_delay)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(due):
                await grown.wait()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _duration(seconds: float) -> Duration:
    message = Duration()
    message.FromTimedelta(timedelta(seconds=seconds))
    return message
