"""The sweep's waker: what follows from a swept row is done at once, for the broker has just proved to be no help."""

import asyncio
from collections.abc import Awaitable, Callable

from payments_service.inbox.waker import Waker

Work = Callable[[str], Awaitable[None]]


class DirectWaker:
    """Runs the work itself; a row that is another's by then is left alone by its claim."""

    def __init__(self, waker: Waker, fulfillment_work: Work) -> None:
        """Take the usual waker for all else."""
        self._waker = waker
        self._fulfillment_work = fulfillment_work
        self._tasks: set[asyncio.Task[None]] = set()

    def wake_event(self, stripe_event_id: str) -> None:
        """Say that an event waits in the inbox."""
        self._waker.wake_event(stripe_event_id)

    def wake_fulfillment(self, fulfillment_id: str) -> None:
        """Work on the fulfillment."""
        task = asyncio.create_task(self._run(fulfillment_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def poke_log(self) -> None:
        """Say that events were staged for the log."""
        self._waker.poke_log()

    async def _run(self, fulfillment_id: str) -> None:
        await self._fulfillment_work(fulfillment_id)
