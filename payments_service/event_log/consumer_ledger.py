"""The state of one member's session: which shards it holds, what is out, what waits, what was answered.

Pure: events, answers and the time come in, and a Turn comes out that makes it all durable. Nothing leaves the session
before its turn is committed; where that fails, the session ends, and what is stored is the truth.
"""

from collections.abc import Iterable, Sequence

from payments_service.event_log.ack_id import AckId
from payments_service.event_log.consumer_turn import Turn
from payments_service.event_log.delivery_credit import DeliveryCredit
from payments_service.event_log.held_shards import HeldShards
from payments_service.event_log.ledger_rules import MOST_READY, NO_ANSWER, OUT_OF_SCOPE, LedgerRules, Nack
from payments_service.event_log.order_lane import Aside, OrderLane, Out
from payments_service.event_log.outstanding import Outstanding
from payments_service.event_log.response_bytes import FramedEvent
from payments_service.event_log.shard_assignment import shard_of
from payments_service.event_log.shard_floor import ShardFloor
from payments_service.event_log.stream_filter import Matches
from payments_service.event_log.waiting_events import WaitingEvents, aside_of
from payments_service.storage.exception_rows import BLOCKED, PARKED, RETRY, Setting
from payments_service.storage.shard_rows import ClaimedShard


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
        self.held = HeldShards()
        self._waiting = WaitingEvents(self.held.floors)
        self.queue = self._waiting.queue
        self.matches = matches
        self.gathered = Turn()
        """What waits to be made durable."""
        self.is_closed = False
        """Whether nothing more is handed out."""

    @property
    def shards(self) -> dict[int, int]:
        """The shards that are held, with their epochs."""
        return self.held.epochs

    @property
    def outstanding(self) -> int:
        """How many events are out."""
        return len(self._outs)

    @property
    def scan_position(self) -> int | None:
        """After which position the log is to be read next; None where enough is known."""
        is_enough = len(self.queue) > self.credit.free_events + MOST_READY
        return None if is_enough or self._waiting.is_full or self.is_closed else self.held.examined

    def gain(self, claimed: Iterable[ClaimedShard]) -> None:
        """Take shards over; `restore` follows before anything of them is read. What was known of them is no more so."""
        claimed = list(claimed)
        self.drop(row.shard for row in claimed)
        self.held.gain(claimed)

    def restore(self, aside: Iterable[tuple[int, Aside]], now: float) -> None:
        """Take what is aside in held shards and not known; what has used its attempts up was never answered."""
        for shard, item in aside:
            if shard not in self.held.floors or self._is_known(shard, item.position):
                continue
            if item.attempts >= self._max_attempts:
                self.gathered.set_again.append(Setting(shard, item.position, PARKED, item.attempts, 0.0, NO_ANSWER))
            else:
                self._waiting.put_aside(self.gathered, shard, item, now)

    def leave(self, shards: Iterable[int]) -> None:
        """Hand nothing more out of some shards."""
        self.queue.leave({shard for shard in shards if shard in self.held.epochs})

    def released(self) -> list[int]:
        """Give the shards that are to be left and have nothing out."""
        return sorted(self.queue.leaving - self._outs.shards - self.gathered.shards)

    def drop(self, shards: Iterable[int]) -> list[int]:
        """Forget shards, held no more; gives those that were."""
        gone = {shard for shard in shards if shard in self.held.epochs}
        if not gone:
            return []
        self.held.drop(gone)
        self._outs.drop(gone)
        self._waiting.drop(gone)
        self.gathered.lose(gone)
        return sorted(gone)

    def take(self, page: Sequence[FramedEvent], now: float) -> None:
        """Examine a page of the log, which begins at or before the place of every shard that is not past it."""
        for event in page:
            shard = shard_of(event.ordering_key, self._shard_count)
            floor = self.held.floors.get(shard)
            if floor is None or event.position <= floor.examined or not self.matches(event):
                continue
            if not self._waiting.is_aside(event.position) and floor.open(event.position):
                self._take_event(shard, floor, event, now)
        self.held.pass_by(page[-1].position)

    def ack(self, token: bytes, now: float) -> None:
        """Take note that an event is done."""
        if (out := self._answer(token, is_ack=True)) is None:
            return
        if out.is_aside:
            self.gathered.taken_out.append((out.shard, out.event.position))
        else:
            self.held.floors[out.shard].settle(out.event.position)
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
            item = Aside(out.event.position, out.event._replace(frame=b""), out.attempt, out.size, now + delay)
            self._waiting.put_aside(self.gathered, out.shard, item, now)
        self._free_lane(out, now)

    def turn(self, now: float, *, with_floors: bool) -> Turn | None:
        """Hand out what may go, and give all that is to be made durable; None where there is nothing."""
        self._relieve_floors(now)
        self._hand_out(now)
        turn, self.gathered = self.gathered, Turn()
        turn.places = self.held.places(turn.shards, with_floors=with_floors)
        return turn if turn.places or not turn.is_idle else None

    def has_ready(self, now: float) -> bool:
        """Say whether something could be handed out."""
        self.queue.wake(now)
        return bool(len(self.queue)) and not self.is_closed and self.credit.free_events > 0

    @property
    def ready_count(self) -> int:
        """How much could be handed out, about."""
        return min(len(self.queue), self.credit.free_events)

    def settled(self, turn: Turn) -> None:
        """Take note that a turn was committed: what it wrote need not be written again."""
        self.held.stored(turn.places)

    def ack_id(self, out: Out) -> AckId:
        """Name a delivery."""
        return AckId(out.shard, out.event.position, self.held.epochs[out.shard], out.serial)

    def _take_event(self, shard: int, floor: ShardFloor, event: FramedEvent, now: float) -> None:
        lane = self.queue.lane(event.ordering_key, shard)
        is_behind = bool(lane.aside) or (lane.out is not None and lane.out.is_aside)
        may_be_out = floor.may_be_out(event.position, event.ordering_key)
        if is_behind or may_be_out:
            self._put_behind(lane, floor, event, now)
        else:
            self._waiting.add(lane, event, now)

    def _put_behind(self, lane: OrderLane, floor: ShardFloor, event: FramedEvent, now: float) -> None:
        """Put an event aside that waits behind one that is, or that the holder before may have handed out."""
        if lane.aside or lane.out is not None:
            state, attempts, reason = BLOCKED, 0, ""
        else:
            state, attempts, reason = (PARKED if self._max_attempts == 1 else RETRY), 1, NO_ANSWER
        floor.settle(event.position)
        self.gathered.put_aside.append((Setting(lane.shard, event.position, state, attempts, 0.0, reason), event))
        if state == PARKED:
            self.queue.offer(event.ordering_key, now)
        else:
            self._waiting.put_aside(self.gathered, lane.shard, aside_of(event, attempts, now), now)

    def _is_known(self, shard: int, position: int) -> bool:
        """Say whether an event is on its way already, from the table or, after a seek, from the log."""
        is_on_its_way = self._waiting.is_aside(position) or position in self._outs
        return is_on_its_way or self.held.floors[shard].is_open(position)

    def _put_out_aside(self, out: Out, setting: Setting) -> None:
        if out.is_aside:
            self.gathered.set_again.append(setting)
            return
        self.held.floors[out.shard].settle(out.event.position)
        self.gathered.put_aside.append((setting, out.event))

    def _answer(self, token: bytes, *, is_ack: bool) -> Out | None:
        """Find what an answer is about; gives None where it has been told already why not."""
        name, out, refusal = self._outs.find(token, self.held.epochs, is_ack=is_ack)
        if name is None or refusal:
            self.gathered.failed.append((token, refusal))
        else:
            self.gathered.accepted.append((name.shard, token))
        return out

    def _free_lane(self, out: Out, now: float) -> None:
        self._outs.settle(out)
        self.queue.lane(out.event.ordering_key, out.shard).out = None
        self.queue.offer(out.event.ordering_key, now)

    def _hand_out(self, now: float) -> None:
        """Hand out in the order in which lanes became ready, as far as the credit goes."""
        self.queue.wake(now)
        while not self.is_closed and (first := self.queue.first(now)):
            key, lane, found = first
            event, size = (found.event, found.size) if isinstance(found, Aside) else (found, len(found.frame))
            if self.matches(event) and not self.credit.fits(size):
                return
            self.queue.take_first()
            if isinstance(found, Aside):
                self._hand_out_again(lane, found)
            else:
                self._hand_out_anew(lane, found)
            self.queue.offer(key, now)

    def _hand_out_anew(self, lane: OrderLane, event: FramedEvent) -> None:
        self._waiting.take(lane)
        floor = self.held.floors[lane.shard]
        if not self.matches(event):
            floor.settle(event.position)
            return
        floor.send(event.position)
        lane.out = self._outs.send(lane.shard, event, 1, len(event.frame), is_aside=False)
        self.gathered.handed_out.append(lane.out)

    def _hand_out_again(self, lane: OrderLane, item: Aside) -> None:
        self._waiting.take_aside(lane)
        if not self.matches(item.event):
            setting = Setting(lane.shard, item.position, PARKED, item.attempts, 0.0, OUT_OF_SCOPE)
            self.gathered.set_again.append(setting)
            return
        lane.out = self._outs.send(lane.shard, item.event, item.attempts + 1, item.size, is_aside=True)
        self.gathered.handed_out.append(lane.out)

    def _relieve_floors(self, now: float) -> None:
        """Put aside what a floor has waited for too long, so that what is done beyond it need not be remembered."""
        for shard, floor in self.held.floors.items():
            if not floor.is_far_ahead(self._most_ahead):
                continue
            out = self._outs.at(floor.first_open)
            if out is None or out.is_aside:
                continue
            self._put_out_aside(out, Setting(shard, out.event.position, RETRY, out.attempt, 0.0, NO_ANSWER))
            out.is_aside = True
            self._waiting.divert(self.gathered, self.queue.lane(out.event.ordering_key, shard), now)
