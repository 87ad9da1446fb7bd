"""Runs jobs so that those of one order never overlap nor overtake each other, and only so many orders at once."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

J = TypeVar("J")


class OrderLanes(Generic[J]):
    """A lane per order, made when a job comes and gone when its last one is done."""

    def __init__(self, concurrency: int, work: Callable[[J], Awaitable[None]]) -> None:
        """Take what to do with a job; it must not raise."""
        self._work = work
        self._slots = asyncio.Semaphore(concurrency)
        self._lanes: dict[str, deque[J]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, order: str, job: J) -> None:
        """Put a job behind those of its order."""
        lane = self._lanes.get(order)
        if lane is not None:
            lane.append(job)
            return
        self._lanes[order] = deque([job])
        task = asyncio.create_task(self._run(order))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def take_back(self, order: str, wanted: Callable[[J], bool] = lambda _: True) -> list[J]:
        """Take away jobs of an order that have not started."""
        lane = self._lanes.get(order)
        if lane is None:
            return []
        taken = [job for job in lane if wanted(job)]
        left = [job for job in lane if not wanted(job)]
        lane.clear()
        lane.extend(left)
        return taken

    def take_back_all(self, wanted: Callable[[J], bool] = lambda _: True) -> None:
        """Take away whatever has not started."""
        for order in list(self._lanes):
            self.take_back(order, wanted)

    async def idle(self) -> None:
        """Wait until nothing runs."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def abandon(self) -> None:
        """Cancel what runs."""
        for task in self._tasks:
            task.cancel()
        await self.idle()

    async def _run(self, order: str) -> None:
        lane = self._lanes[order]
        try:
            while lane:
                async with self._slots:
                    if lane:
                        await self._work(lane.popleft())
        finally:
            del self._lanes[order]
