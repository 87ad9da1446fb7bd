"""The events that wait at one member, order by order: those of the log in memory, and those that are put aside.

Pure. Once one of an order is aside, whatever waits behind it is put aside too, so that no floor waits for it.
"""

from collections.abc import Container, Mapping

from payments_service.event_log.consumer_turn import Turn
from payments_service.event_log.lane_queue import LaneQueue
from payments_service.event_log.ledger_rules import MOST_ASIDE, MOST_WAITING
from payments_service.event_log.order_lane import Aside, OrderLane
from payments_service.event_log.response_bytes import FramedEvent
from payments_service.event_log.shard_floor import ShardFloor
from payments_service.storage.exception_rows import BLOCKED, Setting


class WaitingEvents:
    """A lane for each order, and the queue of lanes that may have something to hand out."""

    def __init__(self, floors: Mapping[int, ShardFloor]) -> None:
        """Take the floors of the shards that are held."""
        self.queue = LaneQueue()
        self._floors = floors
        self._aside: dict[int, int] = {}
        self._waiting = 0

    @property
    def is_full(self) -> bool:
        """Say whether no more of the log is to be read for now."""
        return self._waiting >= MOST_WAITING or len(self._aside) >= MOST_ASIDE

    def is_aside(self, position: int) -> bool:
        """Say whether an event waits in the table of exceptions."""
        return position in self._aside

    def add(self, lane: OrderLane, event: FramedEvent, now: float) -> None:
        """Let an event of the log wait for its turn."""
        lane.waiting.append(event)
        self._waiting += 1
        self.queue.offer(event.ordering_key, now)

    def put_aside(self, turn: Turn, shard: int, item: Aside, now: float) -> None:
        """Keep an event for later, and whatever waits of its order behind it."""
        key = item.event.ordering_key
        lane = self.queue.lane(key, shard)
        lane.put_aside(item)
        self._aside[item.position] = shard
        self.divert(turn, lane, now)
        self.queue.offer(key, now)

    def divert(self, turn: Turn, lane: OrderLane, now: float) -> None:
        """Put aside what waits in a lane, for what is before it is aside."""
        floor = self._floors[lane.shard]
        for event in lane.waiting:
            floor.settle(event.position)
            turn.put_aside.append((Setting(lane.shard, event.position, BLOCKED, 0, 0.0, ""), event))
            lane.put_aside(aside_of(event, 0, now))
            self._aside[event.position] = lane.shard
        self._waiting -= len(lane.waiting)
        lane.waiting.clear()

    def take(self, lane: OrderLane) -> None:
        """Take the first event of the log out of a lane."""
        lane.waiting.popleft()
        self._waiting -= 1

    def take_aside(self, lane: OrderLane) -> None:
        """Take the first event that is aside out of a lane."""
        del self._aside[lane.aside.pop(0).position]

    def drop(self, shards: Container[int]) -> None:
        """Forget what waits in shards."""
        self._waiting -= self.queue.drop(shards)
        self._aside = {position: shard for position, shard in self._aside.items() if shard not in shards}


def aside_of(event: FramedEvent, attempts: int, due: float) -> Aside:
    """Keep of an event what is needed until it goes out again; its frame is in the table."""
    return Aside(event.position, event._replace(frame=b""), attempts, len(event.frame), due)
