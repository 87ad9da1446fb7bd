"""The state of one member's session: which shards it holds, what is out, what waits, what was answered.

Pure: events, answers and the time come in, and a Turn comes out that makes it all durable. Nothing leaves the session
before its turn is committed; where that fails, the session ends, and what is stored is the truth.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from payments_service.event_log.ack_id import AckId
from payments_service.event_log.consumer_turn import Turn
from payments_service.event_log.delivery_credit import DeliveryCredit
from payments_service.event_log.lane_queue import LaneQueue
from payments_service.event_log.order_lane import Aside, OrderLane, Out
from payments_service.event_log.outstanding import Outstanding
from payments_service.event_log.response_bytes import FramedEvent
from payments_service.event_log.shard_assignment import shard_of
from payments_service.event_log.shard_floor import ShardFloor
from payments_service.event_log.stream_filter import Matches
from payments_service.storage.exception_rows import BLOCKED, PARKED, RETRY, Setting
from payments_service.storage.shard_rows import ClaimedShard, Place

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


class ConsumerLedger:
    """Made when a session opens, holding no shard."""

    def __init__(self, rules: LedgerRules, credit: DeliveryCredit, matches: Matches) -> None:
        """Take what may be delivered, and how much of it."""
        self._shard_count = rules.shard_count
        self._max_attempts = rules.max_attempts
        self._backoff = rules.backoff
        self._most_ahead = rules.most_ahead
        self.credit = credit
        self._outs = Outstanding(credit)
        self._queue = LaneQueue()
        self.matches = matches
        self._epochs: dict[int, int] = {}
        self._floors: dict[int, ShardFloor] = {}
        self._written: dict[int, tuple[int, bytes, int]] = {}
        self._aside: dict[int, int] = {}
        self._waiting = 0
        self._turn = Turn()
        self.is_closed = False
        """Whether nothing more is handed out."""

    @property
    def shards(self) -> dict[int, int]:
        """The shards that are held, with their epochs."""
        return self._epochs

    @property
    def outstanding(self) -> int:
        """How many events are out."""
        return len(self._outs)

    @property
    def answers(self) -> int:
        """How many answers wait to be made durable."""
        return len(self._turn.accepted) + len(self._turn.failed)

    @property
    def has_changes(self) -> bool:
        """Say whether something was put aside or parked by itself, which waits to be made durable."""
        turn = self._turn
        return bool(turn.put_aside or turn.set_again) and not self.answers

    @property
    def is_leaving(self) -> bool:
        """Say whether a shard is to be left whose work is not done."""
        return bool(self._queue.leaving)

    @property
    def scan_position(self) -> int | None:
        """After which position the log is to be read next; None where enough is known."""
        enough = len(self._queue) > self.credit.free_events + MOST_READY
        full = enough or self._waiting >= MOST_WAITING or len(self._aside) >= MOST_ASIDE
        if full or self.is_closed or not self._floors:
            return None
        return min(floor.examined for floor in self._floors.values())

    def gain(self, claimed: Iterable[ClaimedShard]) -> None:
        """Take shards over; `restore` follows before anything of them is read. What was known of them is no more so."""
        claimed = list(claimed)
        self.drop(row.shard for row in claimed)
        for row in claimed:
            self._epochs[row.shard] = row.epoch
            self._floors[row.shard] = ShardFloor(row.acked_through, row.acked_ahead, row.sent_through)
            self._written[row.shard] = (row.acked_through, row.acked_ahead, row.sent_through)

    def restore(self, aside: Iterable[tuple[int, Aside]], now: float) -> None:
        """Take what is aside in held shards and not known; what has used its attempts up was never answered."""
        for shard, item in aside:
            if shard not in self._floors or self._is_known(shard, item.position):
                continue
            if item.attempts >= self._max_attempts:
                self._turn.set_again.append(
                    Setting(shard, item.position, PARKED, item.attempts, 0.0, NO_ANSWER),
                )
                continue
            self._keep_aside(shard, item, now)

    def leave(self, shards: Iterable[int]) -> None:
        """Hand nothing more out of some shards."""
        self._queue.leave({shard for shard in shards if shard in self._epochs})

    def released(self) -> list[int]:
        """Give the shards that are to be left and have nothing out."""
        return sorted(self._queue.leaving - self._outs.shards - self._turn.shards)

    def drop(self, shards: Iterable[int]) -> list[int]:
        """Forget shards, held no more; gives those that were."""
        gone = {shard for shard in shards if shard in self._epochs}
        if not gone:
            return []
        for shard in gone:
            del self._epochs[shard], self._floors[shard], self._written[shard]
        self._outs.drop(gone)
        self._waiting -= self._queue.drop(gone)
        self._aside = {position: shard for position, shard in self._aside.items() if shard not in gone}
        self._turn.lose(gone)
        return sorted(gone)

    def take(self, page: Sequence[FramedEvent], now: float) -> None:
        """Examine a page of the log, which begins at or before the place of every shard that is not past it."""
        for event in page:
            shard = shard_of(event.ordering_key, self._shard_count)
            floor = self._floors.get(shard)
            if floor is None or event.position <= floor.examined or not self.matches(event):
                continue
            if event.position not in self._aside and floor.open(event.position):
                self._take_event(shard, floor, event, now)
        last = page[-1].position
        for floor in self._floors.values():
            floor.examined = max(floor.examined, last)

    def ack(self, token: bytes, now: float) -> None:
        """Take note that an event is done."""
        if (out := self._answer(token, is_ack=True)) is None:
            return
        if out.is_aside:
            self._turn.taken_out.append((out.shard, out.event.position))
        else:
            self._floors[out.shard].settle(out.event.position)
        self._free_lane(out, now)

    def nack(self, token: bytes, nack: Nack, now: float) -> None:
        """Take note that an event could not be done: it comes again, or is parked."""
        if (out := self._answer(token, is_ack=False)) is None:
            return
        park = nack.park or out.attempt >= self._max_attempts
        delay = self._backoff(out.attempt) if nack.delay is None else nack.delay
        setting = Setting(
            out.shard, out.event.position, PARKED if park else RETRY, out.attempt, 0.0 if park else delay, nack.reason
        )
        self._put_out_aside(out, setting)
        if not park:
            self._keep_aside(out.shard, self._aside_of(out, now + delay), now)
        self._free_lane(out, now)

    def turn(self, now: float, *, with_floors: bool) -> Turn | None:
        """Hand out what may go, and give all that is to be made durable; None where there is nothing."""
        self._relieve_floors(now)
        self._hand_out(now)
        turn, self._turn = self._turn, Turn()
        self._write_places(turn, with_floors)
        return turn if turn.places or not turn.is_idle else None

    def has_ready(self, now: float) -> bool:
        """Say whether something could be handed out."""
        self._queue.wake(now)
        return bool(len(self._queue)) and not self.is_closed and self.credit.free_events > 0

    @property
    def ready_count(self) -> int:
        """How much could be handed out, about."""
        return min(len(self._queue), self.credit.free_events)

    @property
    def next_due(self) -> float | None:
        """When something that is aside comes again."""
        return self._queue.next_due

    @property
    def has_moved(self) -> bool:
        """Say whether a floor stands elsewhere than it is stored."""
        return any(floor.floor != self._written[shard][0] for shard, floor in self._floors.items())

    def settled(self, turn: Turn) -> None:
        """Take note that a turn was committed: what it wrote need not be written again."""
        for shard, place in turn.places.items():
            if self._epochs.get(shard) == place.epoch:
                self._written[shard] = (place.acked_through, place.acked_ahead, place.sent_through)

    def ack_id(self, out: Out) -> AckId:
        """Name a delivery."""
        return AckId(out.shard, out.event.position, self._epochs[out.shard], out.serial)

    def _take_event(self, shard: int, floor: ShardFloor, event: FramedEvent, now: float) -> None:
        lane = self._queue.lane(event.ordering_key, shard)
        is_behind = bool(lane.aside) or (lane.out is not None and lane.out.is_aside)
        may_be_out = floor.may_be_out(event.position, event.ordering_key)
        if is_behind or may_be_out:
            self._put_behind(lane, floor, event, now)
            return
        lane.waiting.append(event)
        self._waiting += 1
        self._queue.offer(event.ordering_key, now)

    def _put_behind(self, lane: OrderLane, floor: ShardFloor, event: FramedEvent, now: float) -> None:
        """Put an event aside that waits behind one that is, or that the holder before may have handed out."""
        if lane.aside or lane.out is not None:
            state, attempts, reason = BLOCKED, 0, ""
        else:
            state, attempts, reason = (PARKED if self._max_attempts == 1 else RETRY), 1, NO_ANSWER
        floor.settle(event.position)
        self._turn.put_aside.append((Setting(lane.shard, event.position, state, attempts, 0.0, reason), event))
        if state != PARKED:
            item = Aside(event.position, event._replace(frame=b""), attempts, len(event.frame), now)
            self._keep_aside(lane.shard, item, now)
        else:
            self._queue.offer(event.ordering_key, now)

    def _is_known(self, shard: int, position: int) -> bool:
        """Say whether an event is on its way already, from the table or, after a seek, from the log."""
        return position in self._aside or position in self._outs or self._floors[shard].is_open(position)

    def _keep_aside(self, shard: int, item: Aside, now: float) -> None:
        """Keep an event for later, and whatever waits of its order behind it."""
        key = item.event.ordering_key
        lane = self._queue.lane(key, shard)
        lane.put_aside(item)
        self._aside[item.position] = shard
        self._divert(lane, now)
        self._queue.offer(key, now)

    def _divert(self, lane: OrderLane, now: float) -> None:
        """Put aside what waits in a lane, for what is before it is aside."""
        floor = self._floors[lane.shard]
        for event in lane.waiting:
            floor.settle(event.position)
            self._turn.put_aside.append((Setting(lane.shard, event.position, BLOCKED, 0, 0.0, ""), event))
            lane.put_aside(Aside(event.position, event._replace(frame=b""), 0, len(event.frame), now))
            self._aside[event.position] = lane.shard
        self._waiting -= len(lane.waiting)
        lane.waiting.clear()

    def _put_out_aside(self, out: Out, setting: Setting) -> None:
        if out.is_aside:
            self._turn.set_again.append(setting)
            return
        self._floors[out.shard].settle(out.event.position)
        self._turn.put_aside.append((setting, out.event))

    def _aside_of(self, out: Out, due: float) -> Aside:
        return Aside(out.event.position, out.event._replace(frame=b""), out.attempt, out.size, due)

    def _answer(self, token: bytes, *, is_ack: bool) -> Out | None:
        """Find what an answer is about; gives None where it has been told already why not."""
        name, out, refusal = self._outs.find(token, self._epochs, is_ack=is_ack)
        if name is None or refusal:
            self._turn.failed.append((token, refusal))
        else:
            self._turn.accepted.append((name.shard, token))
        return out

    def _free_lane(self, out: Out, now: float) -> None:
        self._outs.settle(out)
        self._queue.lane(out.event.ordering_key, out.shard).out = None
        self._queue.offer(out.event.ordering_key, now)

    def _hand_out(self, now: float) -> None:
        """Hand out in the order in which lanes became ready, as far as the credit goes."""
        self._queue.wake(now)
        while not self.is_closed and (first := self._queue.first(now)):
            key, lane, found = first
            event, size = (found.event, found.size) if isinstance(found, Aside) else (found, len(found.frame))
            if self.matches(event) and not self.credit.fits(size):
                return
            self._queue.take_first()
            if isinstance(found, Aside):
                self._hand_out_again(lane, found)
            else:
                self._hand_out_anew(lane, found)
            self._queue.offer(key, now)

    def _hand_out_anew(self, lane: OrderLane, event: FramedEvent) -> None:
        lane.waiting.popleft()
        self._waiting -= 1
        floor = self._floors[lane.shard]
        if not self.matches(event):
            floor.settle(event.position)
            return
        floor.send(event.position)
        lane.out = self._outs.send(lane.shard, event, 1, len(event.frame), is_aside=False)
        self._turn.handed_out.append(lane.out)

    def _hand_out_again(self, lane: OrderLane, item: Aside) -> None:
        lane.aside.pop(0)
        del self._aside[item.position]
        if not self.matches(item.event):
            setting = Setting(lane.shard, item.position, PARKED, item.attempts, 0.0, OUT_OF_SCOPE)
            self._turn.set_again.append(setting)
            return
        lane.out = self._outs.send(lane.shard, item.event, item.attempts + 1, item.size, is_aside=True)
        self._turn.handed_out.append(lane.out)

    def _relieve_floors(self, now: float) -> None:
        """Put aside what a floor has waited for too long, so that what is done beyond it need not be remembered."""
        for shard, floor in self._floors.items():
            if not floor.is_far_ahead(self._most_ahead):
                continue
            out = self._outs.at(floor.first_open)
            if out is None or out.is_aside:
                continue
            self._put_out_aside(out, Setting(shard, out.event.position, RETRY, out.attempt, 0.0, NO_ANSWER))
            out.is_aside = True
            self._divert(self._queue.lane(out.event.ordering_key, shard), now)

    def _write_places(self, turn: Turn, with_floors: bool) -> None:
        for shard in self._floors if with_floors else turn.shards & self._floors.keys():
            state = self._floors[shard].state()
            if state != self._written[shard] or shard in turn.shards:
                turn.places[shard] = Place(self._epochs[shard], *state)
