"""Runs coroutines of Dramatiq's threads on the process's own event loop: one loop, one data layer, one engine."""

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from dramatiq.asyncio import EventLoopThread


class HostLoop(EventLoopThread):
    """Dramatiq's loop thread without the thread: `run_coroutine` is inherited, the loop belongs to the process.

    `dramatiq.set_event_loop_thread` is global to the process, so actors call this one by name instead.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take the running loop."""
        super().__init__(logging.getLogger(__name__))
        self.loop.close()
        self.loop = loop

    def run_work(self, work: Callable[[str], Coroutine[Any, Any, None]], row_id: str) -> None:
        """Run one row's work to its end; a loop that has stopped leaves it to the sweep of the next process."""
        coroutine = work(row_id)
        try:
            if self.loop.is_running():
                self.run_coroutine(coroutine)
        finally:
            if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
                coroutine.close()

    def start(self, *, timeout: float | None = None) -> None:
        """Do nothing: the loop runs already."""

    def stop(self) -> None:
        """Do nothing: whoever runs the loop stops it."""
