"""Runs a group of ledgers by chance, step by step, on a clock of its own: the same seed is the same story.

Members come, close, crash without letting go, lose their shards without noticing and go on, fail, and meet poison.
"""

import random
from dataclasses import dataclass, field

from payments_service.event_log.ack_id import encode_ack_id
from payments_service.event_log.consumer_ledger import ConsumerLedger
from payments_service.event_log.delivery_credit import DeliveryCredit
from payments_service.event_log.ledger_rules import LedgerRules, Nack
from payments_service.event_log.order_lane import Out
from payments_service.event_log.response_bytes import FramedEvent
from payments_service.storage.exception_rows import PARKED

from .group_checker import History, check
from .memory_group import MemoryGroup

SHARDS, ORDERS, MAX_ATTEMPTS = 8, 40, 5
PAGE = 16
LEFT_OUT = 9
"""A type of event that does not pass the filter."""


@dataclass
class Session:
    """One ledger, and its member: what the member was handed and has not answered."""

    number: int
    ledger: ConsumerLedger
    handed: list[tuple[bytes, Out]] = field(default_factory=list)


class LedgerMachine:
    """One story; `run` it, then `finish` it, which checks it."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311
        self.now = 0.0
        self.log: list[FramedEvent] = []
        self.group = MemoryGroup(SHARDS)
        self.history = History()
        self.poison: set[str] = set()
        self.sessions: list[Session] = []
        self._numbers = 0
        self._acked: dict[bytes, str] = {}

    def run(self, steps: int) -> None:
        """Let so many things happen."""
        actions = [self.append, self.step, self.step, self.step, self.answer, self.answer, self.answer, self.rebalance]
        for _ in range(steps):
            self.now += 0.01
            self.chance.choice(actions)()
            roll = self.chance.random()
            if roll < 0.01 or not self.sessions:
                self.open()
            elif roll < 0.018:
                self.crash()
            elif roll < 0.026:
                self.close()
            elif roll < 0.034:
                self.expire()
            self.history.floors.append(self.group.floors)

    def finish(self) -> None:
        """Let those that are there do the rest, or in their place a new one, and check the whole story."""
        if self.chance.random() < 0.5:
            while self.sessions:
                self.crash()
        if not self.sessions:
            self.open()
        for session in self.sessions:
            self._notice(session)
        for _ in range(len(self.sessions) * (5 * len(self.log) + 100)):
            self.now += 0.5
            self.rebalance()
            self.step()
            while any(session.handed for session in self.sessions):
                self.answer()
            if all(floor == len(self.log) for floor in self.group.floors.values()) and not self.waiting:
                break
        assert set(self.group.floors.values()) == {len(self.log)}, "every floor has come to the head"
        assert not self.waiting
        wanted = [_id(event) for event in self.log if event.type != LEFT_OUT]
        parked = [_id(row.event) for row in self.group.exceptions.values()]
        check(self.history, [(_id(event), event.ordering_key) for event in self.log], wanted, parked, self.poison)

    @property
    def waiting(self) -> list[int]:
        """What is aside and not parked."""
        return [position for position, row in self.group.exceptions.items() if row.state != PARKED]

    def append(self) -> None:
        """Put some events on the log."""
        for _ in range(self.chance.randrange(12)):
            position = len(self.log) + 1
            kind = LEFT_OUT if self.chance.random() < 0.1 else 1
            order = f"ord_{self.chance.randrange(ORDERS)}"
            event = FramedEvent(position, "org_1", "course", kind, order, b"f" * self.chance.randrange(1, 50))
            self.log.append(event)
            if self.chance.random() < 0.01:
                self.poison.add(_id(event))

    def open(self) -> None:
        """Let a member come."""
        self._numbers += 1
        credit = DeliveryCredit(self.chance.choice([1, 3, 20]), self.chance.choice([60, 1000]))
        rules = LedgerRules(SHARDS, MAX_ATTEMPTS, lambda _: 0.05, most_ahead=5)
        ledger = ConsumerLedger(rules, credit, lambda event: event.type != LEFT_OUT)
        self.sessions.append(Session(self._numbers, ledger))

    def step(self) -> None:
        """Let a session read the log and take a turn."""
        if not self.sessions:
            return
        session = self.chance.choice(self.sessions)
        position = session.ledger.scan_position
        if position is not None and self.log[position:]:
            session.ledger.take(self.log[position : position + PAGE], self.now)
        self._turn(session)

    def _turn(self, session: Session) -> None:
        turn = session.ledger.turn(self.now, with_floors=self.chance.random() < 0.5)
        if turn is None:
            return
        shards = set(turn.places)
        self.group.commit(turn, self.now)
        session.ledger.settled(turn)
        named = [(encode_ack_id(session.ledger.ack_id(out)), out) for out in turn.handed_out]
        session.handed += named
        self.history.handed += [(_id(out.event), out.attempt) for out in turn.handed_out]
        self.history.accepted += [self._acked.pop(ack_id) for _, ack_id in turn.accepted if ack_id in self._acked]
        session.ledger.drop(shards - turn.places.keys())

    def answer(self) -> None:
        """Let a member work on something that it was handed, whether or not that is still its own."""
        busy = [session for session in self.sessions if session.handed]
        if not busy:
            return
        session = self.chance.choice(busy)
        ack_id, out = session.handed.pop(self.chance.randrange(len(session.handed)))
        others = [other for other in self.sessions if other is not session]
        if others and self.chance.random() < 0.02:
            session.handed.append((ack_id, out))  # it answers in another one's session first
            session = self.chance.choice(others)
        event = _id(out.event)
        if event in self.poison or self.chance.random() < 0.08:
            nack = Nack("no", self.chance.choice([None, 0.0, 0.2]), park=False)
            self._acked.pop(ack_id, None)
            session.ledger.nack(ack_id, nack, self.now)
            return
        self.history.effects.append(event)
        self._acked[ack_id] = event
        session.ledger.ack(ack_id, self.now)

    def rebalance(self) -> None:
        """Let a session leave what is too much for it, and take what is free."""
        if not self.sessions:
            return
        session = self.chance.choice(self.sessions)
        ledger = session.ledger
        self._turn(session)
        fair = -(-SHARDS // len(self.sessions))
        ledger.leave(sorted(ledger.shards)[fair:])
        done = ledger.released()
        if done:
            self._turn(session)
            self.group.release(shard for shard in done if self.group.shards[shard].holder == session.number)
            ledger.drop(done)
        self._claim(session, fair)

    def _claim(self, session: Session, fair: int) -> None:
        room = fair - len(session.ledger.shards)
        claimed = self.group.claim(session.number, list(range(SHARDS)) if room > 0 else [])
        self.group.release([row.shard for row in claimed[room:]])
        session.ledger.gain(claimed[:room])
        session.ledger.restore(self.group.waiting(row.shard for row in claimed[:room]), self.now)

    def crash(self) -> None:
        """Let a session and its member vanish: what it holds runs out."""
        session = self.sessions.pop(self.chance.randrange(len(self.sessions)))
        self._let_go(session)

    def close(self) -> None:
        """Let a session take its last turn and go."""
        session = self.sessions.pop(self.chance.randrange(len(self.sessions)))
        session.ledger.is_closed = True
        self._turn(session)
        self._let_go(session)

    def expire(self) -> None:
        """Let a session's leases run out without its noticing."""
        self._let_go(self.chance.choice(self.sessions))

    def _notice(self, session: Session) -> None:
        """Let a session see what has run out."""
        held = {shard for shard, row in self.group.shards.items() if row.holder == session.number}
        session.ledger.drop(set(session.ledger.shards) - held)

    def _let_go(self, session: Session) -> None:
        self.group.release(shard for shard, row in self.group.shards.items() if row.holder == session.number)


def _id(event: FramedEvent) -> str:
    return f"fev_{event.position}"
