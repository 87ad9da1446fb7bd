"""Keeps a session's share of its group: it looks at who is there, takes what is free, and leaves what is others'.

A shard is left only when nothing of it is out; what a silent member holds is let go at once.
"""

from collections.abc import Iterator
from math import inf

from payments_service.errors import CursorExpiredError
from payments_service.event_log.consumer_surroundings import ConsumerSurroundings
from payments_service.event_log.consumer_words import assignment
from payments_service.event_log.group_store import member_replaced
from payments_service.event_log.order_lane import Aside
from payments_service.event_log.response_bytes import FramedEvent
from payments_service.event_log.session_turns import SessionTurns, now
from payments_service.event_log.shard_assignment import assign
from payments_service.storage.exception_rows import WaitingRow
from payments_service.storage.log_rows import LogHead
from payments_service.storage.shard_rows import Membership, Survey


class ShardHolding:
    """One session's leases."""

    def __init__(
        self, surroundings: ConsumerSurroundings, turns: SessionTurns, membership: Membership, shard_count: int
    ) -> None:
        """Hold nothing yet; the first look comes at once."""
        self._surroundings = surroundings
        self._limits = surroundings.limits
        self._turns = turns
        self._ledger = turns.ledger
        self._store = turns.store
        self._me = membership
        self._shard_count = shard_count
        self._revision = -1
        self._survey_time = 0.0
        self._renew_time = now() + self._limits.hold / 3
        self._has_lapsed = False
        self.has_resigned = False

    async def join(self) -> None:
        """Be a member."""
        await self._store.join()
        self._surroundings.tell(self._me.subscriber)

    def look_soon(self) -> None:
        """Look at the group at the next step."""
        self._survey_time = 0.0

    async def resign(self) -> None:
        """Want no shard any more: what has nothing out goes to the others at once, the rest once it is done."""
        self.has_resigned = True
        self.look_soon()
        await self._turns.guarded(self._store.resign())

    def heard(self) -> None:
        """Take a silent member back that has said something."""
        if self._has_lapsed:
            self._has_lapsed = False
            self._renew_time = self._survey_time = 0.0

    def due_times(self) -> Iterator[float]:
        """Give when the group is to be looked at, if nothing happens before."""
        if self._has_lapsed:
            return
        yield self._survey_time
        yield self._renew_time
        if self._ledger.outstanding:
            yield self._turns.word_time + self._limits.lease

    async def keep(self) -> None:
        """Do what is due: let go, renew, look around."""
        if self._ledger.outstanding and now() > self._turns.word_time + self._limits.lease:
            await self._lapse()
        if now() >= self._renew_time and not self._has_lapsed:
            await self._renew()
        if now() >= self._survey_time and not self._has_lapsed:
            await self._look()

    async def _lapse(self) -> None:
        """Let the shards of a silent member go; its next word brings it back."""
        self._has_lapsed = True
        await self._turns.guarded(self._store.leave())
        self._lose(list(self._ledger.shards))
        self._surroundings.tell(self._me.subscriber)

    async def _renew(self) -> None:
        renewal = self._store.renew_shards() if self.has_resigned else self._store.renew()
        held = await self._turns.guarded(renewal)
        self._renew_time = now() + self._limits.hold / 3
        self._lose([shard for shard, epoch in self._ledger.shards.items() if held.get(shard) != epoch])

    async def _look(self) -> None:
        # What changes while the group is looked at is looked at next.
        self._survey_time = inf
        # What is put aside must be in the table before the table is read.
        await self._turns.take(with_floors=False)
        self._ledger.matches = self._turns.current_matches()
        survey = await self._turns.guarded(self._store.survey())
        mine = survey.members.get(self._me.member_id, self._me.session_id)
        if mine != self._me.session_id and not self.has_resigned:
            raise member_replaced(self._me.member_id)
        held = {lease.shard for lease in survey.shards if lease.holder == self._me.session_id}
        self._lose([shard for shard in self._ledger.shards if shard not in held])
        is_waiting = await self._take_share(survey)
        if survey.revision != self._revision:
            self._revision = survey.revision
            await self._restore(list(self._ledger.shards))
        pause = self._limits.impatient_survey if is_waiting else self._limits.survey
        self._survey_time = min(self._survey_time, now() + pause)

    async def _take_share(self, survey: Survey) -> bool:
        """Leave what is others', take what is ours and free; says whether something is awaited."""
        share = set[int]()
        if not self.has_resigned:
            share.update(assign(self._shard_count, survey.members).get(self._me.member_id, ()))
        self._ledger.leave(shard for shard in self._ledger.shards if shard not in share)
        await self._release()
        wanted = [lease.shard for lease in survey.shards if lease.shard in share and lease.is_free]
        wanted = [shard for shard in wanted if shard not in self._ledger.shards]
        if wanted and not self._ledger.is_closed:
            await self._claim(wanted)
        return not self.has_resigned and bool(self._ledger.queue.leaving or share - self._ledger.shards.keys())

    async def _release(self) -> None:
        """Let go of shards whose work is done."""
        done = self._ledger.released()
        if not done:
            return
        await self._turns.take(with_floors=True)
        await self._turns.guarded(self._store.release(done))
        self._lose(done)
        self._surroundings.tell(self._me.subscriber)

    async def _claim(self, wanted: list[int]) -> None:
        claimed = await self._turns.guarded(self._store.claim(wanted))
        if not claimed:
            return
        self._ledger.gain(claimed)
        head = await self._restore([row.shard for row in claimed])
        if min(row.acked_through for row in claimed) < head.trimmed_through:
            raise place_lost(self._me.subscriber)
        self._turns.said.append(assignment(gained=[row.shard for row in claimed]))

    async def _restore(self, shards: list[int]) -> LogHead:
        head, rows = await self._turns.guarded(self._store.waiting(shards))
        self._turns.log_id = head.log_id
        self._ledger.restore(((row.shard, _aside(row)) for row in rows), now())
        return head

    def _lose(self, shards: list[int]) -> None:
        if self._turns.lose(shards):
            self.look_soon()


def place_lost(subscriber: str) -> CursorExpiredError:
    """Make the error of a subscriber whose place is no longer kept."""
    return CursorExpiredError(
        "The subscriber's place is no longer kept, and events are missed: an explicit SeekSubscriber is needed.",
        subscriber=subscriber,
    )


def _aside(row: WaitingRow) -> Aside:
    event = FramedEvent(row.position, row.organization_id, row.purchase_type, row.type, row.ordering_key, b"")
    wait = max((row.due - row.now).total_seconds(), 0.0) if row.due else 0.0
    return Aside(row.position, event, row.attempts, row.body_bytes, now() + wait)
