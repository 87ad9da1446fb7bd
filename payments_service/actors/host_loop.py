"""Runs coroutines of Dramatiq's threads on the process's own event loop: one loop, one data layer, one engine."""

import asyncio
import logging

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

    def start(self, *, timeout: float | None = None) -> None:
        """Do nothing: the loop runs already."""

    def stop(self) -> None:
        """Do nothing: whoever runs the loop stops it."""
