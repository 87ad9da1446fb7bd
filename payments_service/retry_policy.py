"""When to try again: exponential backoff with jitter under a cap, and a last attempt. Pure."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often something is tried, and how far apart."""

    max_attempts: int
    first_seconds: float
    cap_seconds: float

    def delay(self, attempt: int, chance: Callable[[], float]) -> float:
        """Give the seconds to wait after the attempt of this number, from 1; between half of the step and all of it."""
        step = min(self.cap_seconds, self.first_seconds * 2.0 ** min(attempt - 1, 60))
        return step * (0.5 + chance() / 2)

    def is_last(self, attempt: int) -> bool:
        """Say whether no attempt follows this one."""
        return attempt >= self.max_attempts


EVENT_RETRIES = RetryPolicy(max_attempts=12, first_seconds=1.0, cap_seconds=900.0)
"""About an hour: only our own database or a bug stands in an event's way."""
FULFILLMENT_RETRIES = RetryPolicy(max_attempts=10, first_seconds=2.0, cap_seconds=1800.0)
"""About an hour and a half: a plug-in's own world may be down that long."""
