"""One order's events at one member: at most one is out, the others wait behind it in the order of the log. Pure."""

from bisect import insort
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from payments_service.event_log.response_bytes import FramedEvent


class Aside(NamedTuple):
    """An event that was put aside: it is in the table of exceptions, and comes again when it is due."""

    position: int
    event: FramedEvent
    """Without its frame, which is read when it goes out."""
    attempts: int
    size: int
    due: float


@dataclass(slots=True)
class Out:
    """An event that was handed out and not answered."""

    shard: int
    serial: int
    """Counts a session's deliveries: the same event may go out as the same attempt again, after a replay."""
    event: FramedEvent
    attempt: int
    size: int
    is_aside: bool
    """Whether it is in the table of exceptions, so that the floor does not wait for it."""


@dataclass(slots=True)
class OrderLane:
    """While anything is aside, nothing of the order comes from the log: it is put aside behind it."""

    shard: int
    out: Out | None = None
    waiting: deque[FramedEvent] = field(default_factory=deque)
    aside: list[Aside] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Say whether the lane can go."""
        return self.out is None and not self.waiting and not self.aside

    def put_aside(self, aside: Aside) -> None:
        """Keep an event for later, in the order of the log."""
        insort(self.aside, aside, key=lambda other: other.position)

    def next(self, now: float) -> Aside | FramedEvent | None:
        """Give what may go out now."""
        if self.out is not None:
            return None
        if self.aside:
            return self.aside[0] if self.aside[0].due <= now else None
        return self.waiting[0] if self.waiting else None
