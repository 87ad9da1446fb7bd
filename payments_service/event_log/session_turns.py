"""Takes a session's turns: commits what its ledger has gathered, and only then puts it into words for its member."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar
from uuid import UUID

import structlog

from payments_service.errors import PaymentsError
from payments_service.event_log.ack_id import encode_ack_id
from payments_service.event_log.consumer_ledger import ConsumerLedger
from payments_service.event_log.consumer_surroundings import ConsumerLimits
from payments_service.event_log.consumer_turn import Turn
from payments_service.event_log.consumer_words import ack_results, assignment, deliveries
from payments_service.event_log.delivery_bytes import delivery_bytes
from payments_service.event_log.group_store import GroupStore
from payments_service.event_log.response_bytes import FramedEvent
from payments_service.event_log.stream_filter import Matches
from payments_service.observability.log_metrics import note_consumed

FLUSHED_AT = 100
"""So many answers, or deliveries, do not wait for more."""
T = TypeVar("T")
_log = structlog.get_logger(__name__)


class SessionTurns:
    """One session's ledger, its store, and what its member is yet to be told."""

    def __init__(
        self, ledger: ConsumerLedger, store: GroupStore, limits: ConsumerLimits, current_matches: Callable[[], Matches]
    ) -> None:
        """Take what asks anew what may be delivered: it raises once the caller may not be here."""
        self.ledger = ledger
        self.store = store
        self.current_matches = current_matches
        self.log_id = UUID(int=0)
        self.said: list[bytes] = []
        self.word_time = now()
        """When the member last gave a sign, or last owed none."""
        self._limits = limits
        self._turn_time = self._floors_time = now()
        self._answer_time: float | None = None
        self._is_full = False
        self._is_broken = False

    def heard(self) -> None:
        """Take note that the member has said something."""
        self.word_time, self._is_full = now(), False
        if self._answer_time is None and self.ledger.gathered.answers:
            self._answer_time = now()

    def take_said(self) -> list[bytes]:
        """Give what the member is to be told."""
        said, self.said = self.said, []
        return said

    def is_due(self) -> bool:
        """Say whether to take a turn now: many answers share one, and a member that waits for us does not wait."""
        ledger, time = self.ledger, now()
        if ledger.gathered.is_unasked:
            return True
        if ledger.gathered.answers:
            is_late = self._answer_time is None or time >= self._answer_time + self._limits.gather
            return is_late or ledger.gathered.answers >= FLUSHED_AT or ledger.outstanding == 0
        if ledger.has_ready(time) and not self._is_full:
            is_late = time >= self._turn_time + self._limits.gather
            return is_late or ledger.ready_count >= FLUSHED_AT or ledger.outstanding == 0
        return ledger.held.has_moved and self.are_floors_due()

    def are_floors_due(self) -> bool:
        """Say whether floors are to be written that other orders' events have moved."""
        return now() >= self._floors_time + self._limits.floors

    def due_times(self) -> Iterator[float]:
        """Give when a turn may be due, if nothing happens before."""
        if self._answer_time is not None:
            yield self._answer_time + self._limits.gather
        if not self.ledger.is_closed and self.ledger.queue.next_due is not None:
            yield self.ledger.queue.next_due
        if self.ledger.has_ready(now()) and not self._is_full:
            yield self._turn_time + self._limits.gather
        if self.ledger.held.has_moved:
            yield self._floors_time + self._limits.floors

    async def take(self, *, with_floors: bool) -> bool:
        """Make durable what has happened, then put it into words; says whether a shard proved to be lost.

        What is handed out is within the caller's scope of now.
        """
        if self.ledger.has_ready(now()):
            self.ledger.matches = self.current_matches()
        if self.ledger.outstanding == 0:
            self.word_time = now()
        self._turn_time = now()
        self._floors_time = self._turn_time if with_floors else self._floors_time
        self._answer_time = None
        turn = self.ledger.turn(self._turn_time, with_floors=with_floors)
        if turn is None:
            self._is_full = self.ledger.has_ready(self._turn_time)
            return False
        shards = set(turn.places)
        again = await self.guarded(self.store.commit(turn, self.log_id))
        self.ledger.settled(turn)
        self._tell(turn, again)
        return self.lose(sorted(shards - turn.places.keys()))

    def lose(self, shards: list[int]) -> bool:
        """Let shards go that are held no more, and say so; says whether any were."""
        gone = self.ledger.drop(shards)
        if gone:
            self.said.append(assignment(lost=gone))
        return bool(gone)

    async def guarded(self, step: Awaitable[T]) -> T:
        """Await a step of the store; one that failed may have happened, so nothing is written after it."""
        try:
            return await step
        except Exception:
            self._is_broken = True
            raise

    async def depart(self, subscriber: str) -> None:
        """Write what was answered, and let all go, as far as the database lets us: else the lease runs out."""
        self.ledger.is_closed = True
        try:
            turn = None if self._is_broken else self.ledger.turn(now(), with_floors=True)
            if turn is not None:
                await self.store.commit(turn, self.log_id)
            await self.store.leave()
        except PaymentsError as error:
            _log.warning("event_log.not_departed", subscriber=subscriber, reason=error.reason)

    def _tell(self, turn: Turn, again: dict[int, FramedEvent]) -> None:
        if turn.accepted or turn.failed:
            self.said.append(ack_results([ack_id for _, ack_id in turn.accepted], turn.failed))
        handed_out = [
            delivery_bytes(
                encode_ack_id(self.ledger.ack_id(out)),
                again[out.event.position] if out.is_aside else out.event,
                out.attempt,
            )
            for out in turn.handed_out
        ]
        note_consumed(len(handed_out))
        self.said.extend(deliveries(handed_out))


def now() -> float:
    """Give the time of the process's loop, by which a session waits."""
    return asyncio.get_running_loop().time()
