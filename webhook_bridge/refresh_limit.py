"""How often a page may make us ask Stripe: now and then for one session, a few at once, a few a second in all.

Whoever holds a link can reload it for ever; Stripe's rate limit is for those who sell.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

AT_ONCE = 4
A_SECOND = 5
"""Of the 25 a second that Stripe allows for reading sessions (reading/stripe.md 1.5)."""
REMEMBERED = 10_000
"""Sessions of which the last time is kept; all others may be asked for anew."""


class RefreshLimit:
    """One process's limit; the time comes from a clock that never goes back."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._asked_at: OrderedDict[str, float] = OrderedDict()
        self._recent: deque[float] = deque(maxlen=A_SECOND)
        self._running = 0

    @contextmanager
    def admit(self, session_id: str, interval: float) -> Iterator[bool]:
        """Say whether Stripe may be asked for a session now, not sooner than `interval` seconds after the last time."""
        if not self._free(session_id, interval):
            yield False
            return
        self._note(session_id)
        self._running += 1
        try:
            yield True
        finally:
            self._running -= 1

    def _free(self, session_id: str, interval: float) -> bool:
        now = self._monotonic()
        crowded = len(self._recent) == A_SECOND and now - self._recent[0] < 1.0
        soon = now - self._asked_at.get(session_id, float("-inf")) < interval
        return not (crowded or soon or self._running >= AT_ONCE)

    def _note(self, session_id: str) -> None:
        now = self._monotonic()
        self._recent.append(now)
        self._asked_at[session_id] = now
        self._asked_at.move_to_end(session_id)
        while len(self._asked_at) > REMEMBERED:
            self._asked_at.popitem(last=False)
