"""What a consumer is asked for, what it is handed, and what its handler may raise."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypedDict

from payments_client.event_types import Event

Handler = Callable[[Event], Awaitable[None] | None]
"""An async function, or one that blocks: that runs in a thread."""
MAX_CREDIT = 10_000


class ConsumerOptions(TypedDict, total=False):
    """How to consume, where the defaults do not fit; seconds."""

    member_id: str
    """This replica's name, for as long as it lives; left out, the host's with something by chance."""
    concurrency: int
    """How many orders at once: 8."""
    prefetch: int
    """How many events may be outstanding, at work or waiting here where no other member takes them: 4 an order."""
    shortest_backoff: float
    """How long a failed event waits at first: 1. It doubles with each attempt."""
    longest_backoff: float
    """How long it waits at most: 60."""
    handler_timeout: float | None
    """When an async handler that has not returned is cancelled and counts as failed: never."""
    stop_grace: float
    """How long handlers may take to finish when the consumer stops: 30."""
    heartbeat: float
    """How often the service says that it lives: every 5; two and a half of silence are an end."""


@dataclass(frozen=True, slots=True)
class ConsumerWish:
    """The options with their defaults."""

    subscriber: str
    member_id: str = ""
    concurrency: int = 8
    prefetch: int = 0
    shortest_backoff: float = 1.0
    longest_backoff: float = 60.0
    handler_timeout: float | None = None
    stop_grace: float = 30.0
    heartbeat: float = 5.0

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.concurrency < 1 or not self.concurrency <= self.credit <= MAX_CREDIT:
            raise ValueError(f"concurrency must be at least 1, and prefetch between it and {MAX_CREDIT}.")

    @property
    def credit(self) -> int:
        """Give how many events may be outstanding."""
        return self.prefetch or 4 * self.concurrency


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event as one session brought it."""

    ack_id: bytes
    event: Event

    @property
    def order(self) -> str:
        """Give the ordering key."""
        return self.event.order_id or self.event.event_id


class RetryLaterError(Exception):
    """Raised by a handler to get the event again after a while of its own choice."""

    def __init__(self, reason: str, *, delay: float) -> None:
        """Take why, for operators, and the seconds."""
        super().__init__(reason)
        self.delay = delay


class ParkEventError(Exception):
    """Raised by a handler to set the event aside at once: trying again would not help, a person must look."""
