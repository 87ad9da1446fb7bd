"""How a stage wakes the next one: a hint that may be lost, given its real form by bootstrap."""

from typing import Protocol


class Waker(Protocol):
    """Never blocks and never raises; call it only after the commit."""

    def wake_event(self, stripe_event_id: str) -> None:
        """Say that an event waits in the inbox."""

    def wake_fulfillment(self, fulfillment_id: str) -> None:
        """Say that a fulfillment is due."""

    def poke_log(self) -> None:
        """Say that events were staged for the log."""
