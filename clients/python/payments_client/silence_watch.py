"""Cuts a blocking call that says nothing for too long: gRPC times a whole stream, and not its next response."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

TICK = 0.25  # seconds


class SilenceWatch:
    """Watches one call from a thread of its own, while somebody waits for the call's next response."""

    def __init__(self, call: Any) -> None:  # noqa: ANN401  # gRPC does not name its class
        """Start to watch; `end` when the call is over."""
        self._call = call
        self._due: float | None = None
        self._ended = threading.Event()
        self.was_silent = False
        threading.Thread(target=self._run, name="payments-stream-watch", daemon=True).start()

    @contextmanager
    def waiting(self, seconds: float) -> Iterator[None]:
        """Bear so much silence, and no more, until the context ends."""
        self._due = time.monotonic() + seconds
        try:
            yield
        finally:
            self._due = None

    def end(self) -> None:
        """Let the thread go."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(TICK):
            due = self._due
            if due is not None and time.monotonic() > due:
                self.was_silent = True
                self._call.cancel()
                return
