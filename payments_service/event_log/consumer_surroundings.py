"""What the sessions of one process share, and what bounds each of them; it holds no session's state."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from payments_service.event_log.group_store import GroupStore
from payments_service.event_log.stream_surroundings import Clock
from payments_service.event_log.tailer import Tailer
from payments_service.retry_policy import RetryPolicy
from payments_service.storage.database import Database
from payments_service.storage.shard_rows import Membership

DEPARTURE_SECONDS = 5.0
DELIVERY_RETRIES = RetryPolicy(max_attempts=0, first_seconds=1.0, cap_seconds=300.0)
"""When an event comes again whose member does not say when; how often is its subscriber's to say."""


@dataclass(frozen=True, slots=True)
class ConsumerLimits:
    """How long things may take; seconds."""

    lease: float = 30.0
    """A member that owes answers and says nothing for so long loses its shards."""
    hold: float = 10.0
    """A process that says nothing to the database for so long loses its sessions' shards; it does so at a third."""
    age: float = 1800.0
    """A session ends by Draining, a fifth sooner or later: connections spread again."""
    drain: float = 5.0
    """How long a member may still acknowledge after Draining."""
    survey: float = 2.0
    """How often a session looks at its group, and at its caller."""
    impatient_survey: float = 0.2
    """How often while a shard is awaited from another member."""
    gather: float = 0.01
    """How long an answer waits for others to be committed with."""
    floors: float = 5.0
    """How often floors are written that nothing but other orders' events has moved."""


@dataclass(slots=True)
class ConsumerSurroundings:
    """Given to every session."""

    database: Database
    tailer: Tailer
    clock: Clock
    limits: ConsumerLimits = field(default_factory=ConsumerLimits)
    chance: Callable[[], float] = random.random
    make_store: Callable[[Database, Membership], GroupStore] = GroupStore
    drained: bool = False
    _wakes: dict[str, set[Callable[[], None]]] = field(default_factory=lambda: defaultdict(set))
    _departures: set[asyncio.Task[None]] = field(default_factory=set)
    _quiet: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Begin without a session."""
        self._quiet.set()

    @property
    def sessions(self) -> int:
        """How many sessions are told of changes."""
        return sum(map(len, self._wakes.values()))

    def enter(self, subscriber: str, wake: Callable[[], None]) -> None:
        """Let a session be told when its group has changed in this process."""
        self._wakes[subscriber].add(wake)
        self._quiet.clear()

    def exit(self, subscriber: str, wake: Callable[[], None]) -> None:
        """Tell a session nothing more."""
        self._wakes[subscriber].discard(wake)
        if not self._wakes[subscriber]:
            del self._wakes[subscriber]
        self._look_for_quiet()

    def tell(self, subscriber: str) -> None:
        """Let the sessions of a group look around; other processes' look by themselves."""
        for wake in tuple(self._wakes.get(subscriber, ())):
            wake()

    def tell_all(self) -> None:
        """Let all sessions look around."""
        for subscriber in tuple(self._wakes):
            self.tell(subscriber)

    def depart(self, departure: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a session's last step to its end, whatever becomes of the session's own task."""
        task = asyncio.create_task(departure)
        self._departures.add(task)
        self._quiet.clear()
        task.add_done_callback(self._forget)
        return task

    async def departed(self) -> None:
        """Wait until no session is left, and all have let go what they held."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DEPARTURE_SECONDS):
                await self._quiet.wait()

    def _forget(self, departure: asyncio.Task[None]) -> None:
        self._departures.discard(departure)
        self._look_for_quiet()

    def _look_for_quiet(self) -> None:
        if not self._wakes and not self._departures:
            self._quiet.set()
