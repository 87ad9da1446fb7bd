"""Wakes by Dramatiq messages from a thread of its own: a broker that is down may block a sender for two minutes.

A wake-up that finds the queue full or the broker away is dropped and counted; the sweep finds its row.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable

import structlog

from payments_service.observability.work_metrics import note_wake_up

MAX_WAITING = 10_000
PAUSE_SECONDS = 1.0
"""How long nothing is sent after two failures in a row: a broker that is away costs no more than a try now and then."""
_log = structlog.get_logger(__name__)
_Send = Callable[[], object]


class MessageWaker:
    """Gives the stages' hints to whoever sends messages; `poke_log` stays within the process."""

    def __init__(
        self,
        send_event: Callable[[str], object],
        send_fulfillment: Callable[[str], object],
        send_plugin: Callable[[str], object],
        poke: Callable[[], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the actors' `send`, and whom to poke when the log has something to sequence."""
        self._send_event = send_event
        self._send_fulfillment = send_fulfillment
        self._send_plugin = send_plugin
        self._poke = poke
        self._waiting: queue.Queue[_Send | None] = queue.Queue(MAX_WAITING)
        self._thread = threading.Thread(target=self._run, name="payments-waker", daemon=True)
        self._was_failing = False
        self._monotonic = monotonic
        self._paused_until = 0.0
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """How many wake-ups are yet to be sent."""
        return self._waiting.qsize()

    def wake_event(self, stripe_event_id: str) -> None:
        """Say that an event waits in the inbox."""
        self._put(lambda: self._send_event(stripe_event_id))

    def wake_fulfillment(self, fulfillment_id: str) -> None:
        """Say that a fulfillment is due."""
        self._put(lambda: self._send_fulfillment(fulfillment_id))

    def wake_plugin(self, fulfillment_id: str) -> None:
        """Say that a fulfillment may be due for a plug-in."""
        self._put(lambda: self._send_plugin(fulfillment_id))

    def poke_log(self) -> None:
        """Say that events were staged for the log."""
        self._poke()

    def start(self) -> None:
        """Send from now on."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Send what waits, within the time that there is; a broker that hangs is left behind."""
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=timeout)
            self._thread.join(timeout)

    def _put(self, send: _Send) -> None:
        try:
            self._waiting.put_nowait(send)
        except queue.Full:
            self._count_dropped()

    def _run(self) -> None:
        while (send := self._waiting.get()) is not None:
            if self._monotonic() < self._paused_until:
                self._count_dropped()
                continue
            try:
                send()
            except Exception as error:  # brokers raise what their clients raise
                self._fail(error)
            else:
                note_wake_up(sent=True)
                self._was_failing = False

    def _fail(self, error: Exception) -> None:
        """Say so once for each outage: the sweep works on, and a line for each message helps nobody."""
        self._count_dropped()
        if self._was_failing:
            self._paused_until = self._monotonic() + PAUSE_SECONDS
        else:
            _log.warning("broker.wake_ups_dropped", error=f"{type(error).__name__}: {error}", dropped=self.dropped)
        self._was_failing = True

    def _count_dropped(self) -> None:
        self.dropped += 1
        note_wake_up(sent=False)
