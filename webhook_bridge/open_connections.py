"""The connections of one listening bridge and the answers being made for them: counted, and ended together."""

import asyncio
from collections.abc import Coroutine
from typing import Protocol

import structlog

MAX_CONNECTIONS = 512
"""A crowd of slow senders must not take all file descriptors of the process."""
_log = structlog.get_logger(__name__)


class Connection(Protocol):
    """What can be ended."""

    def stop(self) -> None:
        """End after what is under way."""

    def abort(self) -> None:
        """End now."""


class OpenConnections:
    """Who is connected, and what runs for them."""

    def __init__(self) -> None:
        self._connections: set[Connection] = set()
        self._answers: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    @property
    def crowded(self) -> bool:
        """Whether there is no room for the last one."""
        return len(self._connections) > MAX_CONNECTIONS

    def add(self, connection: Connection) -> None:
        """Count one."""
        self._connections.add(connection)
        if len(self._connections) == MAX_CONNECTIONS + 1:
            _log.warning("bridge.crowded", connections=MAX_CONNECTIONS)

    def discard(self, connection: Connection) -> None:
        """Forget one."""
        self._connections.discard(connection)
        self._changed.set()

    def run(self, answering: Coroutine[None, None, None]) -> None:
        """Make an answer, whether or not its connection lasts as long."""
        task = asyncio.create_task(answering)
        self._answers.add(task)
        task.add_done_callback(self._answered)

    async def finish(self, seconds: float) -> None:
        """Let what is under way come to its end; what does not in so many seconds is broken off."""
        for connection in list(self._connections):
            connection.stop()
        try:
            async with asyncio.timeout(seconds):
                await self._emptied()
        except TimeoutError:
            for connection in list(self._connections):
                connection.abort()
            for task in list(self._answers):
                task.cancel()
            await self._emptied()

    async def _emptied(self) -> None:
        while self._connections or self._answers:
            self._changed.clear()
            await self._changed.wait()

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._answers.discard(task)
        self._changed.set()
        if not task.cancelled() and (error := task.exception()):
            _log.error("bridge.answering_failed", exc_info=error)
