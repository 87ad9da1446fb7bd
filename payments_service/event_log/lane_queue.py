"""The lanes of all orders at one member, in the order in which they became ready to hand something out. Pure."""

import heapq
from collections import deque
from collections.abc import Container

from payments_service.event_log.order_lane import Aside, OrderLane
from payments_service.event_log.response_bytes import FramedEvent

Found = tuple[str, OrderLane, Aside | FramedEvent]


class LaneQueue:
    """A lane is queued when it may have something to give; whether it has is looked at when its turn comes."""

    def __init__(self) -> None:
        """Begin without a lane."""
        self._lanes: dict[str, OrderLane] = {}
        self._ready: deque[str] = deque()
        self._due: list[tuple[float, str]] = []
        self.leaving: set[int] = set()
        """Shards out of whose lanes nothing more goes."""

    def __len__(self) -> int:
        return len(self._ready)

    @property
    def next_due(self) -> float | None:
        """When something that is aside comes again."""
        return self._due[0][0] if self._due else None

    def lane(self, key: str, shard: int) -> OrderLane:
        """Give an order's lane, which is made where there is none."""
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = OrderLane(shard)
        return lane

    def offer(self, key: str, now: float) -> None:
        """Queue a lane that has something to hand out, now or when it is due; let one go that is empty."""
        lane = self._lanes[key]
        if lane.is_empty:
            del self._lanes[key]
        elif lane.out is not None or lane.shard in self.leaving:
            return
        elif lane.aside and lane.aside[0].due > now:
            heapq.heappush(self._due, (lane.aside[0].due, key))
        else:
            self._ready.append(key)

    def wake(self, now: float) -> None:
        """Queue what has become due."""
        while self._due and self._due[0][0] <= now:
            self._ready.append(heapq.heappop(self._due)[1])

    def first(self, now: float) -> Found | None:
        """Find what may be handed out next; it stays queued until it is taken."""
        while self._ready:
            key = self._ready[0]
            lane = self._lanes.get(key)
            found = None if lane is None or lane.shard in self.leaving else lane.next(now)
            if lane is not None and found is not None:
                return key, lane, found
            self._ready.popleft()
            if lane is not None:
                self.offer(key, now)
        return None

    def take_first(self) -> None:
        """Take the lane that `first` has found out of the queue."""
        self._ready.popleft()

    def leave(self, shards: set[int]) -> None:
        """Hand nothing out of some shards, and again out of those that were to be left before."""
        kept, self.leaving = self.leaving - shards, shards
        self._ready.extend(key for key, lane in self._lanes.items() if lane.shard in kept)

    def drop(self, shards: Container[int]) -> int:
        """Forget the lanes of shards; says how many events of the log have waited there."""
        gone = [(key, lane) for key, lane in self._lanes.items() if lane.shard in shards]
        for key, _ in gone:
            del self._lanes[key]
        self.leaving = {shard for shard in self.leaving if shard not in shards}
        return sum(len(lane.waiting) for _, lane in gone)
