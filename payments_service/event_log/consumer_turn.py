"""What one turn of a session makes durable in one transaction, and what its member is told once that is done."""

from collections.abc import Container
from dataclasses import dataclass, field

from payments_service.event_log.order_lane import Out
from payments_service.event_log.response_bytes import FramedEvent
from payments_service.storage.exception_rows import Setting
from payments_service.storage.shard_rows import Place

LEASE_LOST = "LEASE_LOST"
ANSWERED_BEFORE = "ANSWERED_BEFORE"
ACK_ID_UNKNOWN = "ACK_ID_UNKNOWN"


@dataclass(slots=True)
class Turn:
    """All of it happens for a shard, or, where the shard is another's by now, none."""

    places: dict[int, Place] = field(default_factory=dict)
    put_aside: list[tuple[Setting, FramedEvent]] = field(default_factory=list)
    set_again: list[Setting] = field(default_factory=list)
    taken_out: list[tuple[int, int]] = field(default_factory=list)
    """Shard and position."""
    handed_out: list[Out] = field(default_factory=list)
    accepted: list[tuple[int, bytes]] = field(default_factory=list)
    """Shard and ack id."""
    failed: list[tuple[bytes, str]] = field(default_factory=list)

    @property
    def shards(self) -> set[int]:
        """Which shards it concerns, but for their floors alone."""
        return (
            {setting.shard for setting, _ in self.put_aside}
            | {setting.shard for setting in self.set_again}
            | {shard for shard, _ in self.taken_out}
            | {out.shard for out in self.handed_out}
            | {shard for shard, _ in self.accepted}
        )

    @property
    def answers(self) -> int:
        """How many answers it has."""
        return len(self.accepted) + len(self.failed)

    @property
    def is_unasked(self) -> bool:
        """Say whether something was put aside or parked without an answer."""
        return bool(self.put_aside or self.set_again) and not self.answers

    def lose(self, shards: Container[int]) -> None:
        """Leave out what concerns shards that are another's by now, and say so of their answers."""
        self.failed += [(ack_id, LEASE_LOST) for shard, ack_id in self.accepted if shard in shards]
        self.accepted = [answer for answer in self.accepted if answer[0] not in shards]
        self.put_aside = [item for item in self.put_aside if item[0].shard not in shards]
        self.set_again = [setting for setting in self.set_again if setting.shard not in shards]
        self.taken_out = [item for item in self.taken_out if item[0] not in shards]
        self.handed_out = [out for out in self.handed_out if out.shard not in shards]
        self.places = {shard: place for shard, place in self.places.items() if shard not in shards}

    @property
    def is_idle(self) -> bool:
        """Say whether nothing happened but that floors moved."""
        return not (self.failed or self.shards)
