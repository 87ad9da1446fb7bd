"""A loop that works when woken or when the next thing is due; the sandbox's deliveries and expiries run on it."""

import asyncio
import logging
from collections.abc import Callable

_LONGEST_WAIT_SECONDS = 60.0
_SHORTEST_WAIT_SECONDS = 0.005
_log = logging.getLogger(__name__)


async def run_wake_loop(woken: asyncio.Event, work: Callable[[], float | None]) -> None:
    """Call `work` for ever; it tells in how many seconds something is due next, None for nothing."""
    while True:
        woken.clear()
        try:
            wait = work()
        except Exception:
            _log.exception("the sandbox's background work failed; it is tried again")
            wait = 1.0
        seconds = (
            _LONGEST_WAIT_SECONDS if wait is None else min(max(wait, _SHORTEST_WAIT_SECONDS), _LONGEST_WAIT_SECONDS)
        )
        try:
            async with asyncio.timeout(seconds):
                await woken.wait()
        except TimeoutError:
            continue
