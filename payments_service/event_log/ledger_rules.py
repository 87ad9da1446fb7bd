"""What bounds a session's ledger, and what a member may say of an event that it could not do. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

MOST_AHEAD = 1000
"""So much may be settled beyond a shard's floor before the event that it waits for is put aside."""
MOST_WAITING = 2000
MOST_ASIDE = 10_000
MOST_READY = 100
NO_ANSWER = "the member left without an answer"
OUT_OF_SCOPE = "the caller may no longer see it"


@dataclass(frozen=True, slots=True)
class Nack:
    """What a member says of an event that it could not do."""

    reason: str
    delay: float | None
    park: bool


@dataclass(frozen=True, slots=True)
class LedgerRules:
    """What holds for a subscriber."""

    shard_count: int
    max_attempts: int
    backoff: Callable[[int], float]
    """How long an event waits after an attempt, from 1, where its member does not say."""
    most_ahead: int = MOST_AHEAD
