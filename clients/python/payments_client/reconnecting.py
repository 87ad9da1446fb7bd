"""When to open a stream again, and after how long: full jitter between nothing and a bound that doubles."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from payments_client.client_errors import PaymentsError

FINAL_CODES = frozenset(
    {
        "INVALID_ARGUMENT",
        "UNAUTHENTICATED",
        "PERMISSION_DENIED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "FAILED_PRECONDITION",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
    }
)
"""What the same call would be refused with again; everything else may be over the next time."""


@dataclass(slots=True)
class Backoff:
    """The pause before the next try, one series of failures long."""

    shortest: float = 0.2
    longest: float = 10.0
    chance: Callable[[], float] = random.random
    _failures: int = 0

    def next_pause(self) -> float:
        """Give the seconds to wait after one more failure."""
        bound = min(self.longest, self.shortest * 2.0 ** min(self._failures, 32))
        self._failures += 1
        return self.chance() * bound

    def reset(self) -> None:
        """Forget the failures: it works again."""
        self._failures = 0


def is_final(error: PaymentsError) -> bool:
    """Tell whether opening again would be refused again."""
    return error.code in FINAL_CODES
