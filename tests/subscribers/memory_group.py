"""Keeps a group in dicts as the tables do, for ledgers that run without a database; a call is one transaction."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from payments_service.event_log.consumer_turn import Turn
from payments_service.event_log.order_lane import Aside
from payments_service.event_log.response_bytes import FramedEvent
from payments_service.storage.exception_rows import PARKED, RETRY
from payments_service.storage.shard_rows import ClaimedShard


@dataclass
class StoredShard:
    """A row of subscriber_shards."""

    acked_through: int = 0
    acked_ahead: bytes = b""
    sent_through: int = 0
    holder: int = 0
    epoch: int = 0


@dataclass
class StoredException:
    """A row of subscriber_exceptions."""

    shard: int
    event: FramedEvent
    state: str
    attempts: int
    due: float


@dataclass
class MemoryGroup:
    """What outlives every session."""

    shard_count: int
    shards: dict[int, StoredShard] = field(default_factory=dict)
    exceptions: dict[int, StoredException] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.shards = {shard: StoredShard() for shard in range(self.shard_count)}

    def claim(self, holder: int, wanted: Iterable[int]) -> list[ClaimedShard]:
        """Take shards that nobody holds."""
        claimed = []
        for shard in wanted:
            row = self.shards[shard]
            if not row.holder:
                row.holder, row.epoch = holder, row.epoch + 1
                claimed.append(ClaimedShard(shard, row.epoch, row.acked_through, row.acked_ahead, row.sent_through))
        return claimed

    def release(self, shards: Iterable[int]) -> None:
        """Let shards go, or let their leases run out."""
        for shard in shards:
            self.shards[shard].holder = 0

    def waiting(self, shards: Iterable[int]) -> list[tuple[int, Aside]]:
        """List what is aside and not parked."""
        wanted = set(shards)
        return [
            (row.shard, Aside(position, row.event._replace(frame=b""), row.attempts, 100, row.due))
            for position, row in sorted(self.exceptions.items())
            if row.shard in wanted and row.state != PARKED
        ]

    def commit(self, turn: Turn, now: float) -> None:
        """Make a turn durable as far as its shards are still held, and mark in it what was lost."""
        lost = {shard for shard, place in turn.places.items() if self.shards[shard].epoch != place.epoch}
        turn.lose(lost)
        for shard, place in turn.places.items():
            row = self.shards[shard]
            row.acked_through, row.acked_ahead, row.sent_through = place[1:]
        for setting, event in turn.put_aside:
            due = now + setting.delay_seconds
            kept = StoredException(setting.shard, event, setting.state, setting.attempts, due)
            self.exceptions[setting.position] = kept
        for setting in turn.set_again:
            self.exceptions[setting.position].state = setting.state
            self.exceptions[setting.position].due = now + setting.delay_seconds
        for _, position in turn.taken_out:
            del self.exceptions[position]
        for out in turn.handed_out:
            if out.is_aside:
                self.exceptions[out.event.position].attempts += 1
                self.exceptions[out.event.position].state = RETRY

    @property
    def floors(self) -> dict[int, int]:
        """Give each shard's floor."""
        return {shard: row.acked_through for shard, row in self.shards.items()}
