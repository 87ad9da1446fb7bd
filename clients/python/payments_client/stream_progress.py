"""How far a stream has come, and what to do next: shared by the sync and the async stream; it does no I/O.

A cursor moves only with what the user was given, so that opening the stream after it repeats and skips nothing.
"""

import logging
from collections import deque
from dataclasses import dataclass, field

from payments_client.client_errors import DrainingError, PaymentsError, StartRequiredError, UnavailableError
from payments_client.event_types import Event, EventFilter, StartAt
from payments_client.message_reading import read_event
from payments_client.message_writing import duration, filter_message, start_message
from payments_client.pb.payments.v1 import fulfillment_stream_pb2 as pb
from payments_client.reconnecting import Backoff, is_final

SILENT_HEARTBEATS = 2.5
"""A stream that says nothing for so many heartbeats is dead, whatever TCP believes."""
OPENING_SECONDS = 10.0
_log = logging.getLogger("payments_client")


@dataclass(frozen=True, slots=True)
class StreamWish:
    """What a stream was asked for."""

    start: StartAt
    narrowed: EventFilter = field(default_factory=EventFilter)
    max_batch_size: int = 0
    max_batch_delay: float = 0.0
    heartbeat: float = 15.0
    follow: bool = True


def require_start(after: bytes | None, start: StartAt | None) -> StartAt:
    """Give where to begin: after a cursor, where there is one; raises StartRequiredError."""
    chosen = after or start
    if chosen is None:
        raise StartRequiredError("A stream has no default start.", reason="START_REQUIRED")
    return chosen


class StreamProgress:
    """Knows the cursor, and keeps the events that have come and were not given yet."""

    def __init__(self, wish: StreamWish, backoff: Backoff | None = None) -> None:
        """Take what was asked for."""
        self._wish = wish
        self._backoff = backoff or Backoff()
        self._waiting: deque[Event] = deque()
        self._received: bytes = wish.start if isinstance(wish.start, bytes) else b""
        self._reconnect_delay: float | None = None
        self._heartbeat = 0.0
        self.cursor = self._received
        """Resume after it to get what was not given yet, and nothing again."""
        self.is_caught_up = False
        self.lag = 0

    @property
    def is_over(self) -> bool:
        """Tell whether a stream that does not follow has given everything."""
        return self.is_caught_up and not self._wish.follow and not self._waiting

    @property
    def patience(self) -> float:
        """How many seconds of silence are borne."""
        return self._heartbeat * SILENT_HEARTBEATS or OPENING_SECONDS

    def request(self) -> pb.StreamFulfillmentsRequest:
        """Ask for what has not come yet."""
        wish = self._wish
        self._heartbeat, self._reconnect_delay = 0.0, None
        return pb.StreamFulfillmentsRequest(
            filter=filter_message(wish.narrowed),
            start=start_message(self._received or wish.start),
            max_batch_size=wish.max_batch_size,
            max_batch_delay=duration(wish.max_batch_delay),
            heartbeat_interval=duration(wish.heartbeat),
        )

    def take(self, response: pb.StreamFulfillmentsResponse) -> None:
        """Keep what a response brought."""
        self._received = response.cursor or self._received
        self.lag = response.lag
        self._waiting.extend(map(read_event, response.events))
        match response.WhichOneof("signal"):
            case "opened":
                self._heartbeat = response.opened.heartbeat_interval.ToTimedelta().total_seconds()
            case "caught_up":
                self.is_caught_up = True
            case "fell_behind":
                self.is_caught_up = False
            case "draining":
                self._reconnect_delay = response.draining.reconnect_delay.ToTimedelta().total_seconds()
            case _:
                pass
        if response.WhichOneof("signal") != "opened":
            self._backoff.reset()
        if not self._waiting:
            self.cursor = self._received

    def give(self) -> Event | None:
        """Give the next event, None where more must come first."""
        if not self._waiting:
            return None
        event = self._waiting.popleft()
        self.cursor = event.cursor if self._waiting else self._received
        return event

    def pause_after(self, error: PaymentsError | None) -> float:
        """Give the seconds until the stream is opened again; raises what would only come again. None: it just ended."""
        self.is_caught_up = False
        if self._reconnect_delay is not None and (error is None or isinstance(error, DrainingError)):
            _log.info("The payments service drains; the stream resumes elsewhere.")
            return self._reconnect_delay
        if error is not None and is_final(error):
            raise error
        pause = max(self._backoff.next_pause(), (error and error.retry_after) or 0.0)
        said = error.message if error else "It ended without a word."
        _log.warning("The stream of payments events was cut and resumes in %.1f s: %s", pause, said)
        return pause


def silence(seconds: float) -> PaymentsError:
    """Give the error of a stream that said nothing for too long."""
    return UnavailableError(f"The stream was silent for {seconds:.1f} s.", code="UNAVAILABLE")
