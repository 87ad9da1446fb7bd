"""What the streams of one process share, and what bounds each of them; it holds no stream's state."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from payments_service.event_log.tailer import Tailer
from payments_service.storage.database import Database

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """What ends a stream; seconds."""

    stall: float = 60.0
    """A client that takes longer to read one response is cut off."""
    age: float = 1800.0
    """Ends by Draining, a fifth sooner or later: connections spread again, and nothing lives for ever."""
    ahead: float = 5.0
    """How long a cursor past the head may wait for the log."""
    recheck: float = 2.0
    """How long an idle stream may go on after its caller is gone."""


@dataclass(slots=True)
class Surroundings:
    """Given to every stream; only `drained` ever changes."""

    database: Database
    tailer: Tailer
    clock: Clock
    limits: StreamLimits = field(default_factory=StreamLimits)
    chance: Callable[[], float] = random.random
    drained: bool = False
