"""Dramatiq's part of a process: the broker, the two actors, and the threads that run them on the process's loop."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import dramatiq

from payments_service.actors.broker import EVENTS_QUEUE, FULFILLMENTS_QUEUE
from payments_service.actors.host_loop import HostLoop

THREADS = 8
IDLE_MILLISECONDS = 100
"""How often an idle thread looks up; Redis is polled as rarely as this makes it."""
STOP_SECONDS = 8.0
Work = Callable[[str], Awaitable[None]]


class Crew:
    """The two actors of one broker; sending needs no worker in the process."""

    def __init__(self, broker: dramatiq.Broker, loop: asyncio.AbstractEventLoop) -> None:
        """Declare the actors; `employ` says what they do here."""
        self._broker = broker
        self._host = HostLoop(loop)
        self._event_work: Work | None = None
        self._fulfillment_work: Work | None = None
        self.apply_event = self._actor(self._apply_event, "apply_event", EVENTS_QUEUE)
        self.fulfill = self._actor(self._fulfill, "fulfill", FULFILLMENTS_QUEUE)

    def employ(self, event_work: Work, fulfillment_work: Work) -> None:
        """Give the actors their work."""
        self._event_work, self._fulfillment_work = event_work, fulfillment_work

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Take messages until the context ends; what is running then is finished first."""
        worker = dramatiq.Worker(self._broker, worker_threads=THREADS, worker_timeout=IDLE_MILLISECONDS)
        await asyncio.to_thread(worker.start)
        try:
            yield
        finally:
            # In a thread: stopping waits for actors, and they need the loop.
            await asyncio.to_thread(worker.stop, int(STOP_SECONDS * 1000))

    def close(self) -> None:
        """Give the broker's connections back."""
        self._broker.close()

    def _actor(self, function: Callable[[str], None], name: str, queue_name: str) -> Callable[[str], Any]:
        declare = dramatiq.actor(actor_name=name, queue_name=queue_name, broker=self._broker)
        return declare(function).send

    def _apply_event(self, stripe_event_id: str) -> None:
        self._run(self._event_work, stripe_event_id)

    def _fulfill(self, fulfillment_id: str) -> None:
        self._run(self._fulfillment_work, fulfillment_id)

    def _run(self, work: Work | None, row_id: str) -> None:
        if work is not None:
            self._host.run_coroutine(work(row_id))
