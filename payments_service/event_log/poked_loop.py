"""Runs one step at each poke and at each tick behind them, for as long as the process lives, whatever it raises.

A poke is a hint that may be lost. A loop that died silently would stall every stream of the process, so nothing
but cancellation ends it.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from payments_service.errors import StorageUnavailableError
from payments_service.observability.log_metrics import note_loop_failure

FIRST_BACKOFF_SECONDS = 0.1
LONGEST_BACKOFF_SECONDS = 5.0
_log = structlog.get_logger(__name__)


class PokedLoop:
    """A step learns whether it was poked; one that fails is tried again after a pause that grows."""

    def __init__(
        self, name: str, step: Callable[[bool], Coroutine[Any, Any, None]], tick_seconds: float | None
    ) -> None:
        """Take the name that failures are logged under; with None for a tick, only pokes count."""
        self._name = name
        self._step = step
        self._tick_seconds = tick_seconds
        self._poked = asyncio.Event()
        self._failures = 0

    def poke(self) -> None:
        """Say that there is something to do; many pokes are one step."""
        self._poked.set()

    async def run(self) -> None:
        """Run until cancelled, to the end of the step that is under way; the first step counts as poked."""
        self._poked.set()
        while True:
            poked = self._poked.is_set()
            self._poked.clear()
            try:
                await _whole(self._step(poked))
            except Exception as error:  # the loop is the last one who can survive it
                await self._back_off(error)
                continue
            self._failures = 0
            await self._wait()

    async def _back_off(self, error: Exception) -> None:
        self._failures += 1
        note_loop_failure(self._name)
        if isinstance(error, StorageUnavailableError):
            _log.warning(f"{self._name}.storage_unavailable", failures=self._failures, error=error.message)
        else:
            _log.error(f"{self._name}.failed", failures=self._failures, exc_info=error)
        await asyncio.sleep(min(FIRST_BACKOFF_SECONDS * 2 ** min(self._failures - 1, 10), LONGEST_BACKOFF_SECONDS))
        self._poked.set()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._tick_seconds):
                await self._poked.wait()
        except TimeoutError:
            return


async def _whole(step: Coroutine[Any, Any, None]) -> None:
    """Put off a cancellation until the step is done: a transaction that is cut off takes its connection with it."""
    task = asyncio.create_task(step)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise
