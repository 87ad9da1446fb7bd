"""Moves staged events into the log, one batch a transaction; poked by whoever commits, and by a tick behind them.

A poke is only a hint: a process that dies between its commit and its poke costs one tick.
"""

from collections.abc import Callable

from payments_service.event_log.poked_loop import PokedLoop
from payments_service.observability.log_metrics import note_sequenced
from payments_service.storage.database import Database
from payments_service.storage.log_rows import SEQUENCE_BATCH, has_staged_events, sequence_events

TICK_SECONDS = 0.5


class Sequencer:
    """Runs as one task a process; the head row's lock makes any number of them safe."""

    def __init__(
        self, database: Database, on_sequenced: Callable[[], None], tick_seconds: float | None = TICK_SECONDS
    ) -> None:
        """Take who is told when the log has grown; None for a tick where `tick` is somebody's duty."""
        self._database = database
        self._on_sequenced = on_sequenced
        self._loop = PokedLoop("event_log.sequencer", self._step, tick_seconds)

    def poke(self) -> None:
        """Say that something was committed; many pokes are one run."""
        self._loop.poke()

    async def run(self) -> None:
        """Sequence at each poke and each tick, until cancelled; no failure ends it."""
        await self._loop.run()

    async def drain(self) -> None:
        """Sequence all that is staged now."""
        moved = SEQUENCE_BATCH
        while moved == SEQUENCE_BATCH:
            async with self._database.at_once() as writing:
                moved = await sequence_events(writing)
            if moved:
                note_sequenced(moved)
                self._on_sequenced()

    async def tick(self) -> None:
        """Sequence what nobody poked for; it looks without a lock: an idle tick must not take the one writer's turn."""
        async with self._database.reading() as reading:
            staged = await has_staged_events(reading)
        if staged:
            await self.drain()

    async def _step(self, poked: bool) -> None:
        await (self.drain() if poked else self.tick())
