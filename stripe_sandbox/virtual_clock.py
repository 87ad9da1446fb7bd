"""Stripe's clock in the sandbox: the real one and an offset that controls move forward and a restart keeps."""

from collections.abc import Callable

from stripe_sandbox.ledger import Ledger


class VirtualClock:
    """Tells the sandbox's time; it only ever goes forward of the real one."""

    def __init__(self, real: Callable[[], float], ledger: Ledger) -> None:
        self.real = real
        self._ledger = ledger
        self._offset = float(ledger.setting("clock_offset_seconds", "0"))

    @property
    def offset(self) -> float:
        """Seconds before the real time."""
        return self._offset

    def now(self) -> float:
        """Give the time in seconds."""
        return self.real() + self._offset

    def seconds(self) -> int:
        """Give the time as Stripe writes it."""
        return int(self.now())

    def put_forward(self, offset: float) -> None:
        """Stand so many seconds before the real time from now on, inside the caller's transaction."""
        self._offset = offset
        self._ledger.keep_setting("clock_offset_seconds", repr(self._offset))
