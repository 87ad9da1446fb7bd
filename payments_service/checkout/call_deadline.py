"""How long a call may still take; what it asks of Stripe must leave time for our own commit."""

import time
from collections.abc import Callable

from payments_service.errors import StripeUnavailableError

COMMIT_SECONDS = 0.25
LEAST_CALL_SECONDS = 0.25


class CallDeadline:
    """The end of a caller's patience, by a clock that nobody sets."""

    def __init__(self, budget: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Start to count; `budget` is in seconds."""
        self._monotonic = monotonic
        self._end = monotonic() + budget

    def left(self) -> float:
        """Give the seconds that are left, below zero when it is over."""
        return self._end - self._monotonic()

    def for_stripe(self) -> float:
        """Give the seconds that Stripe may take; raises StripeUnavailableError where that is too little."""
        seconds = self.left() - COMMIT_SECONDS
        if seconds < LEAST_CALL_SECONDS:
            raise StripeUnavailableError(
                f"Too little of the call's deadline is left to ask Stripe ({max(self.left(), 0.0):.1f} s), so Stripe "
                "was not asked; call again with a deadline of 5 s or more."
            )
        return seconds
