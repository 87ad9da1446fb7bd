"""One open ConsumeFulfillments: a member that holds shards of a subscriber, one step after the other.

A step hears the member, looks at the group where that is due, reads the log, and commits a turn before anything of it
is told. It yields serialized bytes and knows no gRPC; a failure of the database ends it: what is stored is the truth.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import suppress

from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import ConsumeFulfillmentsRequest
from payments_service.errors import DrainingError, FieldViolation, HoleError, InvalidRequestError
from payments_service.event_log.consumer_opening import MemberVoice, Opening, read_nack
from payments_service.event_log.consumer_surroundings import ConsumerSurroundings
from payments_service.event_log.consumer_words import draining, heartbeat, opened
from payments_service.event_log.response_bytes import FramedEvent
from payments_service.event_log.session_turns import SessionTurns, now
from payments_service.event_log.shard_holding import ShardHolding, place_lost
from payments_service.storage.log_rows import read_head


class ConsumerSession:
    """Made when a member has proved to be allowed; `responses` runs until it leaves or is told to."""

    def __init__(
        self,
        surroundings: ConsumerSurroundings,
        opening: Opening,
        voice: MemberVoice,
        turns: SessionTurns,
        holding: ShardHolding,
    ) -> None:
        """Take the parts of one session; nothing has happened yet."""
        self._surroundings = surroundings
        self._limits = surroundings.limits
        self._tailer = surroundings.tailer
        self._opening = opening
        self._voice = voice
        self._turns = turns
        self._ledger = turns.ledger
        self._holding = holding
        self._lineage = self._tailer.lineage
        self._said_time = now()
        self._end_time = now() + self._limits.age * (0.8 + 0.4 * surroundings.chance())
        self._drain_end: float | None = None
        self._has_closed = False

    async def responses(self) -> AsyncGenerator[bytes, None]:
        """Yield serialized responses; ends when the member has closed, raises when it must go."""
        tasks = [asyncio.create_task(self._voice.listen()), asyncio.create_task(self._follow_log())]
        self._surroundings.enter(self._opening.subscriber, self._look_around)
        try:
            await self._holding.join()
            yield opened(self._limits.lease)
            while not self._is_over():
                await self._step()
                for response in self._turns.take_said():
                    yield response
                    self._said_time = now()
            await self._turns.take(with_floors=True)
            for response in self._turns.take_said():
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
        if self._has_closed and not self._holding.has_resigned:
            await self._holding.resign()
        await self._holding.keep()
        has_read = await self._read_log()
        if self._turns.is_due():
            is_poorer = await self._turns.take(with_floors=self._turns.are_floors_due())
            if is_poorer or self._ledger.released():
                self._holding.look_soon()
        if now() >= self._heartbeat_time() and not self._turns.said:
            self._turns.said.append(heartbeat(self._surroundings.clock()))
        if not self._turns.said and not has_read:
            await self._wait()

    def _hear(self) -> None:
        for request in self._voice.heard():
            self._heed(request)
            self._turns.heard()
            self._holding.heard()

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
        time, nack = now(), read_nack(request.nack)
        for token in request.ack.ack_ids:
            self._ledger.ack(token, time)
        for token in request.nack.ack_ids:
            self._ledger.nack(token, nack, time)

    def _add_credit(self, credit: int) -> None:
        if credit < 1:
            raise InvalidRequestError([FieldViolation("add_credit.credit", "must be at least 1")])
        self._ledger.credit.add(credit)

    def _look_at_the_end(self) -> None:
        """Tell once that the session ends: the process does, it is old, or the log is another one."""
        if self._drain_end is not None or self._has_closed:
            return
        is_other_log = self._lineage != self._tailer.lineage
        if self._surroundings.drained or now() >= self._end_time or is_other_log:
            self._ledger.is_closed = True
            self._drain_end = now() + self._limits.drain
            self._turns.said.append(draining(self._surroundings.chance()))

    def _is_over(self) -> bool:
        """Say whether no answer is awaited any more; what has come may yet have to be made durable."""
        if self._turns.said or self._voice.has_words:
            return False
        if self._drain_end is not None and now() >= self._drain_end:
            return True
        is_ending = self._has_closed or self._drain_end is not None
        return self._voice.has_ended or (is_ending and self._ledger.outstanding == 0)

    async def _read_log(self) -> bool:
        """Examine the next page; says whether there was one."""
        position = self._ledger.scan_position
        if position is None or position >= self._tailer.head or self._lineage != self._tailer.lineage:
            return False
        page = await self._tailer.events_after(position)
        if not page or page[0].position != position + 1:
            await self._require_kept(position, page)
            return False
        self._ledger.take(page, now())
        return True

    async def _require_kept(self, position: int, page: Iterable[FramedEvent]) -> None:
        async with self._surroundings.database.reading() as reading:
            head = await read_head(reading)
        if position < head.trimmed_through:
            raise place_lost(self._opening.subscriber)
        found = [event.position for event in page][:1]
        if found:
            raise HoleError(f"In the log stands {found[0]} where {position + 1} should.")

    async def _follow_log(self) -> None:
        while True:
            await self._tailer.growth().wait()
            self._voice.wake.set()

    def _look_around(self) -> None:
        self._holding.look_soon()
        self._voice.wake.set()

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(min(self._due_times())):
                await self._voice.wake.wait()
        self._voice.wake.clear()

    def _due_times(self) -> Iterator[float]:
        yield self._heartbeat_time()
        yield self._end_time if self._drain_end is None else self._drain_end
        yield from self._holding.due_times()
        yield from self._turns.due_times()

    def _heartbeat_time(self) -> float:
        return self._said_time + self._opening.heartbeat

    async def _depart(self) -> None:
        await self._turns.depart(self._opening.subscriber)
        self._surroundings.tell(self._opening.subscriber)
