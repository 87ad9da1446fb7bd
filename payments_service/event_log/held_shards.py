"""The shards that one session holds: under which epoch, how far each has come, and how much of that is stored. Pure."""

from collections.abc import Container, Iterable

from payments_service.event_log.shard_floor import ShardFloor
from payments_service.storage.shard_rows import ClaimedShard, Place


class HeldShards:
    """Begins with none."""

    def __init__(self) -> None:
        """Hold nothing."""
        self.epochs: dict[int, int] = {}
        self.floors: dict[int, ShardFloor] = {}
        self._written: dict[int, tuple[int, bytes, int]] = {}

    @property
    def examined(self) -> int | None:
        """How far the log is known for all of them; None where none is held."""
        return min((floor.examined for floor in self.floors.values()), default=None)

    @property
    def has_moved(self) -> bool:
        """Say whether a floor stands elsewhere than it is stored."""
        return any(floor.floor != self._written[shard][0] for shard, floor in self.floors.items())

    def gain(self, claimed: Iterable[ClaimedShard]) -> None:
        """Take shards over as they are stored."""
        for row in claimed:
            self.epochs[row.shard] = row.epoch
            self.floors[row.shard] = ShardFloor(row.acked_through, row.acked_ahead, row.sent_through)
            self._written[row.shard] = (row.acked_through, row.acked_ahead, row.sent_through)

    def drop(self, shards: Iterable[int]) -> None:
        """Hold some no more."""
        for shard in shards:
            del self.epochs[shard], self.floors[shard], self._written[shard]

    def pass_by(self, position: int) -> None:
        """Take note that every event up to a position is known."""
        for floor in self.floors.values():
            floor.examined = max(floor.examined, position)

    def places(self, concerned: Container[int], *, with_floors: bool) -> dict[int, Place]:
        """Give what is to be stored of the shards that something happened to, or of all whose floors have moved."""
        places = {}
        for shard, floor in self.floors.items():
            if shard not in concerned and not with_floors:
                continue
            state = floor.state()
            if shard in concerned or state != self._written[shard]:
                places[shard] = Place(self.epochs[shard], *state)
        return places

    def stored(self, places: dict[int, Place]) -> None:
        """Take note of what was stored: it need not be again."""
        for shard, place in places.items():
            if self.epochs.get(shard) == place.epoch:
                self._written[shard] = (place.acked_through, place.acked_ahead, place.sent_through)
