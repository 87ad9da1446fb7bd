"""Waits for the end of a subscriber's backlog, and fails where nobody works on it any more."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from event_log.log_scene import everyone

from payments_service.event_log.subscriber_registry import SubscriberRegistry


async def backlog_ends(
    registry: SubscriberRegistry, name: str, look: Callable[[], Awaitable[None]], *, stall: float, pause: float
) -> None:
    """Wait until nothing is left, for as long as it becomes less at least once in `stall` seconds; looks each time."""
    least, since = float("inf"), time.monotonic()
    while left := (await registry.find(name, everyone())).backlog:
        if left < least:
            least, since = left, time.monotonic()
        assert time.monotonic() - since < stall, f"{left} events are left, and nobody works on them"
        await look()
        await asyncio.sleep(pause)
