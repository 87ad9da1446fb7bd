"""One open ConsumeFulfillments: a member that holds shards of a subscriber, one step after the other.

A step hears the member, looks at the group where that is due, reads the log, and commits a turn before anything of it
is told. It yields serialized bytes and knows no gRPC; a failure of the database ends it: what is stored is the truth.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

import structlog

from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import ConsumeFulfillmentsRequest
from payments_service.errors import (
    CursorExpiredError,
    DrainingError,
    FieldViolation,
    HoleError,
    InvalidRequestError,
    MemberReplacedError,
    PaymentsError,
)
from payments_service.event_log.ack_id import encode_ack_id
from payments_service.event_log.consumer_ledger import ConsumerLedger
from payments_service.event_log.consumer_opening import MemberVoice, Opening, read_nack
from payments_service.event_log.consumer_surroundings import ConsumerSurroundings
from payments_service.event_log.consumer_turn import Turn
from payments_service.event_log.consumer_words import (
    ack_results,
    assignment,
    deliveries,
    draining,
    heartbeat,
    opened,
)
from payments_service.event_log.delivery_bytes import delivery_bytes
from payments_service.event_log.group_store import GroupStore
from payments_service.event_log.order_lane import Aside
from payments_service.event_log.response_bytes import FramedEvent
from payments_service.event_log.shard_assignment import assign
from payments_service.event_log.stream_filter import Matches
from payments_service.storage.exception_rows import WaitingRow
from payments_service.storage.log_rows import LogHead, read_head
from payments_service.storage.shard_rows import Survey

FLUSHED_AT = 100
"""So many answers, or deliveries, do not wait for more."""
T = TypeVar("T")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SessionParts:
    """What one session is made of."""

    opening: Opening
    shard_count: int
    store: GroupStore
    ledger: ConsumerLedger
    voice: MemberVoice
    current_matches: Callable[[], Matches]
    """Asks anew what may be delivered; raises once the caller may not be here."""
    wake: asyncio.Event
    session_id: str


class ConsumerSession:
    """Made when a member has proved to be allowed; `responses` runs until it leaves or is told to."""

    def __init__(self, surroundings: ConsumerSurroundings, parts: SessionParts) -> None:
        """Take the parts of one session; nothing has happened yet."""
        self._surroundings = surroundings
        self._limits = surroundings.limits
        self._tailer = surroundings.tailer
        self._opening = parts.opening
        self._shard_count = parts.shard_count
        self._store = parts.store
        self._ledger = parts.ledger
        self._voice = parts.voice
        self._current_matches = parts.current_matches
        self._wake = parts.wake
        self._session_id = parts.session_id
        self._lineage = self._tailer.lineage
        self._log_id = UUID(int=0)
        self._revision = -1
        self._said: list[bytes] = []
        self._said_time = self._word_time = self._turn_time = self._floors_time = _now()
        self._answer_time: float | None = None
        self._survey_time = 0.0
        self._renew_time = _now() + self._limits.lease / 3
        self._end_time = _now() + self._limits.age * (0.8 + 0.4 * surroundings.chance())
        self._drain_end: float | None = None
        self._has_closed = False
        self._has_lapsed = False
        self._is_full = False
        self._is_broken = False

    async def responses(self) -> AsyncGenerator[bytes, None]:
        """Yield serialized responses; ends when the member has closed, raises when it must go."""
        tasks = [asyncio.create_task(self._voice.listen()), asyncio.create_task(self._follow_log())]
        self._surroundings.enter(self._opening.subscriber, self._look_around)
        try:
            await self._store.join()
            self._surroundings.tell(self._opening.subscriber)
            yield opened(self._limits.lease)
            while not self._is_over():
                await self._step()
                for response in self._take_said():
                    yield response
                    self._said_time = _now()
            await self._turn(with_floors=True)
            for response in self._take_said():
                yield response
            if not self._has_closed and self._drain_end is not None:
                raise DrainingError("The session ends here: open it again, elsewhere if you can.")
        finally:
            for task in tasks:
                task.cancel()
            departure = self._surroundings.depart(self._depart())
            self._surroundings.exit(self._opening.subscriber, self._look_around)
            await asyncio.shield(departure)

    async def _step(self) -> None:
        self._hear()
        self._look_at_the_end()
        if self._is_over():
            return
        if self._has_gone_silent():
            await self._lapse()
        if _now() >= self._renew_time and not self._has_lapsed:
            await self._renew()
        if _now() >= self._survey_time and not self._has_lapsed:
            await self._look_at_the_group()
        has_read = await self._read_log()
        if self._is_turn_due():
            await self._turn(with_floors=_now() >= self._floors_time + self._limits.floors)
        if _now() >= self._said_time + self._opening.heartbeat and not self._said:
            self._said.append(heartbeat(self._surroundings.clock()))
        if not self._said and not has_read:
            await self._wait()

    def _hear(self) -> None:
        for request in self._voice.heard():
            self._word_time, self._is_full = _now(), False
            if self._has_lapsed:
                self._has_lapsed = False
                self._renew_time = self._survey_time = 0.0
            self._heed(request)

    def _heed(self, request: ConsumeFulfillmentsRequest) -> None:
        match request.WhichOneof("request"):
            case "ack" | "nack":
                self._take_answers(request)
            case "add_credit":
                self._add_credit(request.add_credit.credit)
            case "close":
                self._has_closed = self._ledger.is_closed = True
            case "ping":
                pass
            case "open":
                raise InvalidRequestError([FieldViolation("open", "comes once, in the first message")])
            case _:
                raise InvalidRequestError([FieldViolation("request", "is required: exactly one of its kinds")])

    def _take_answers(self, request: ConsumeFulfillmentsRequest) -> None:
        now = _now()
        for token in request.ack.ack_ids:
            self._ledger.ack(token, now)
        nack = read_nack(request.nack)
        for token in request.nack.ack_ids:
            self._ledger.nack(token, nack, now)
        if self._answer_time is None and self._ledger.answers:
            self._answer_time = now

    def _add_credit(self, credit: int) -> None:
        if credit < 1:
            raise InvalidRequestError([FieldViolation("add_credit.credit", "must be at least 1")])
        self._ledger.credit.add(credit)

    def _look_at_the_end(self) -> None:
        """Tell once that the session ends: the process does, it is old, or the log is another one."""
        if self._drain_end is not None or self._has_closed:
            return
        lineage_lost = self._lineage != self._tailer.lineage
        if self._surroundings.drained or _now() >= self._end_time or lineage_lost:
            self._ledger.is_closed = True
            self._drain_end = _now() + self._limits.drain
            self._said.append(draining(self._surroundings.chance()))

    def _is_over(self) -> bool:
        """Say whether no answer is awaited any more, which may yet have to be made durable."""
        if self._said:
            return False
        if self._voice.has_ended and not self._voice.has_words:
            return True
        if self._drain_end is not None and _now() >= self._drain_end:
            return True
        is_ending = self._has_closed or self._drain_end is not None
        return is_ending and self._ledger.outstanding == 0 and not self._voice.has_words

    async def _follow_log(self) -> None:
        while True:
            await self._tailer.growth().wait()
            self._wake.set()

    def _look_around(self) -> None:
        self._survey_time = 0.0
        self._wake.set()

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(min(self._due_times())):
                await self._wake.wait()
        self._wake.clear()

    def _due_times(self) -> Iterator[float]:
        yield self._said_time + self._opening.heartbeat
        yield self._end_time if self._drain_end is None else self._drain_end
        if not self._has_lapsed:
            yield self._survey_time
            yield self._renew_time
            if self._ledger.outstanding:
                yield self._word_time + self._limits.lease
        if self._answer_time is not None:
            yield self._answer_time + self._limits.gather
        if not self._ledger.is_closed and self._ledger.next_due is not None:
            yield self._ledger.next_due
        if self._ledger.has_ready(_now()) and not self._is_full:
            yield self._turn_time + self._limits.gather
        if self._ledger.has_moved:
            yield self._floors_time + self._limits.floors

    def _has_gone_silent(self) -> bool:
        return self._ledger.outstanding > 0 and _now() > self._word_time + self._limits.lease

    async def _lapse(self) -> None:
        """Let the shards of a silent member go; its next word brings it back."""
        self._has_lapsed = True
        await self._guarded(self._store.leave())
        self._lose(list(self._ledger.shards))
        self._surroundings.tell(self._opening.subscriber)

    async def _renew(self) -> None:
        held = await self._guarded(self._store.renew())
        self._renew_time = _now() + self._limits.lease / 3
        self._lose([shard for shard, epoch in self._ledger.shards.items() if held.get(shard) != epoch])

    async def _look_at_the_group(self) -> None:
        await self._turn(with_floors=False)
        self._ledger.matches = self._current_matches()
        survey = await self._guarded(self._store.survey())
        if survey.members.get(self._opening.member_id, self._session_id) != self._session_id:
            raise MemberReplacedError(
                f"Another session of the member {self._opening.member_id!r} was opened: a member has one at a time.",
                member_id=self._opening.member_id,
            )
        held = {lease.shard for lease in survey.shards if lease.holder == self._session_id}
        self._lose([shard for shard in self._ledger.shards if shard not in held])
        is_waiting = await self._take_share(survey)
        if survey.revision != self._revision:
            self._revision = survey.revision
            await self._restore(list(self._ledger.shards))
        self._survey_time = _now() + (self._limits.impatient_survey if is_waiting else self._limits.survey)

    async def _take_share(self, survey: Survey) -> bool:
        """Leave what is others', take what is ours and free; says whether something is awaited."""
        share = set(assign(self._shard_count, survey.members).get(self._opening.member_id, ()))
        self._ledger.leave(shard for shard in self._ledger.shards if shard not in share)
        await self._release()
        wanted = [lease.shard for lease in survey.shards if lease.shard in share and lease.is_free]
        wanted = [shard for shard in wanted if shard not in self._ledger.shards]
        if wanted and not self._ledger.is_closed:
            await self._claim(wanted)
        return bool(self._ledger.is_leaving or share - self._ledger.shards.keys())

    async def _release(self) -> None:
        """Let go of shards whose work is done."""
        done = self._ledger.released()
        if not done:
            return
        await self._turn(with_floors=True)
        await self._guarded(self._store.release(done))
        self._lose(done)
        self._surroundings.tell(self._opening.subscriber)

    async def _claim(self, wanted: list[int]) -> None:
        claimed = await self._guarded(self._store.claim(wanted))
        if not claimed:
            return
        self._ledger.gain(claimed)
        head = await self._restore([row.shard for row in claimed])
        if min(row.acked_through for row in claimed) < head.trimmed_through:
            raise place_lost(self._opening.subscriber)
        self._said.append(assignment(gained=[row.shard for row in claimed]))

    async def _restore(self, shards: list[int]) -> LogHead:
        head, rows = await self._guarded(self._store.waiting(shards))
        self._log_id = head.log_id
        self._ledger.restore(((row.shard, _aside(row)) for row in rows), _now())
        return head

    async def _read_log(self) -> bool:
        """Examine the next page; says whether there was one."""
        position = self._ledger.scan_position
        if position is None or position >= self._tailer.head or self._lineage != self._tailer.lineage:
            return False
        page = await self._tailer.events_after(position)
        if not page or page[0].position != position + 1:
            await self._require_kept(position, page)
            return False
        self._ledger.take(page, _now())
        return True

    async def _require_kept(self, position: int, page: Iterable[FramedEvent]) -> None:
        async with self._surroundings.database.reading() as reading:
            head = await read_head(reading)
        if position < head.trimmed_through:
            raise place_lost(self._opening.subscriber)
        found = [event.position for event in page][:1]
        if found:
            raise HoleError(f"In the log stands {found[0]} where {position + 1} should.")

    def _is_turn_due(self) -> bool:
        ledger, now = self._ledger, _now()
        if ledger.has_changes:
            return True
        if ledger.answers:
            is_late = self._answer_time is None or now >= self._answer_time + self._limits.gather
            return is_late or ledger.answers >= FLUSHED_AT or ledger.outstanding == 0
        if ledger.has_ready(now) and not self._is_full:
            is_late = now >= self._turn_time + self._limits.gather
            return is_late or ledger.ready_count >= FLUSHED_AT or ledger.outstanding == 0
        return ledger.has_moved and now >= self._floors_time + self._limits.floors

    async def _turn(self, *, with_floors: bool) -> None:
        """Make durable what has happened, then tell it; what is handed out is within the caller's scope of now."""
        if self._ledger.has_ready(_now()):
            self._ledger.matches = self._current_matches()
        if self._ledger.outstanding == 0:
            self._word_time = _now()
        now = self._turn_time = _now()
        if with_floors:
            self._floors_time = now
        turn = self._ledger.turn(now, with_floors=with_floors)
        self._answer_time = None
        if turn is None:
            self._is_full = self._ledger.has_ready(now)
            return
        shards = set(turn.places)
        again = await self._guarded(self._store.commit(turn, self._log_id))
        self._ledger.settled(turn)
        self._tell(turn, again)
        self._lose(sorted(shards - turn.places.keys()))
        if self._ledger.released():
            self._survey_time = 0.0

    def _tell(self, turn: Turn, again: dict[int, FramedEvent]) -> None:
        if turn.accepted or turn.failed:
            self._said.append(ack_results([ack_id for _, ack_id in turn.accepted], turn.failed))
        handed_out = [
            delivery_bytes(
                encode_ack_id(self._ledger.ack_id(out)),
                again[out.event.position] if out.is_aside else out.event,
                out.attempt,
            )
            for out in turn.handed_out
        ]
        self._said.extend(deliveries(handed_out))

    def _lose(self, shards: list[int]) -> None:
        gone = self._ledger.drop(shards)
        if gone:
            self._said.append(assignment(lost=gone))
            self._survey_time = 0.0

    def _take_said(self) -> list[bytes]:
        said, self._said = self._said, []
        return said

    async def _guarded(self, step: Awaitable[T]) -> T:
        """Await a step of the store; one that failed may have happened, so nothing is written after it."""
        try:
            return await step
        except Exception:
            self._is_broken = True
            raise

    async def _depart(self) -> None:
        """Write what was answered, and let all go, as far as the database lets us: else the lease runs out."""
        self._ledger.is_closed = True
        try:
            turn = None if self._is_broken else self._ledger.turn(_now(), with_floors=True)
            if turn is not None:
                await self._store.commit(turn, self._log_id)
            await self._store.leave()
        except PaymentsError as error:
            _log.warning("event_log.not_departed", subscriber=self._opening.subscriber, reason=error.reason)
        self._surroundings.tell(self._opening.subscriber)


def place_lost(subscriber: str) -> CursorExpiredError:
    """Make the error of a subscriber whose place is no longer kept."""
    return CursorExpiredError(
        "The subscriber's place is no longer kept, and events are missed: an explicit SeekSubscriber is needed.",
        subscriber=subscriber,
    )


def _aside(row: WaitingRow) -> Aside:
    event = FramedEvent(row.position, row.organization_id, row.purchase_type, row.type, row.ordering_key, b"")
    wait = max((row.due - row.now).total_seconds(), 0.0) if row.due else 0.0
    return Aside(row.position, event, row.attempts, row.body_bytes, _now() + wait)


def _now() -> float:
    return asyncio.get_running_loop().time()
