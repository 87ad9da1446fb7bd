"""Dramatiq's part of a process: the brokers, the actors, and the threads that run them on the process's loop."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import dramatiq
import structlog

from payments_service.actors.broker import EVENTS_QUEUE, FULFILLMENTS_QUEUE, PLUGINS_QUEUE
from payments_service.actors.host_loop import HostLoop

THREADS = 8
IDLE_MILLISECONDS = 100
"""How often an idle thread looks up; Redis is polled as rarely as this makes it."""
STOP_SECONDS = 5.0
CLOSE_SECONDS = 1.0
Work = Callable[[str], Coroutine[Any, Any, None]]
Making = Callable[[], dramatiq.Broker]
_log = structlog.get_logger(__name__)


class Crew:
    """The actors of a process; sending needs no worker in the process.

    Plug-ins have a broker and threads of their own: they are as slow as the world, and nothing of ours waits for them.
    """

    def __init__(self, make_broker: Making, loop: asyncio.AbstractEventLoop) -> None:
        """Declare the actors; `employ` says what they do here."""
        self._swift, self._slow = make_broker(), make_broker()
        self._host = HostLoop(loop)
        self._works: dict[str, Work] = {}
        self.apply_event = self._actor(self._swift, "apply_event", EVENTS_QUEUE)
        self.fulfill = self._actor(self._swift, "fulfill", FULFILLMENTS_QUEUE)
        self.run_plugin = self._actor(self._slow, "run_plugin", PLUGINS_QUEUE)

    def employ(self, event_work: Work, fulfillment_work: Work, plugin_work: Work | None = None) -> None:
        """Give the actors their work; without plug-ins nobody waits for theirs."""
        self._works = {EVENTS_QUEUE: event_work, FULFILLMENTS_QUEUE: fulfillment_work}
        if plugin_work is not None:
            self._works[PLUGINS_QUEUE] = plugin_work

    @asynccontextmanager
    async def at_work(self, threads: int = THREADS) -> AsyncIterator[None]:
        """Take messages until the context ends; what is running then is finished first, within a few seconds."""
        brokers = [self._swift, self._slow] if PLUGINS_QUEUE in self._works else [self._swift]
        workers = [
            dramatiq.Worker(broker, worker_threads=threads, worker_timeout=IDLE_MILLISECONDS) for broker in brokers
        ]
        for worker in workers:
            await asyncio.to_thread(worker.start)
        try:
            yield
        finally:
            stopping = (_within(STOP_SECONDS, worker.stop, int(STOP_SECONDS * 1000)) for worker in workers)
            await asyncio.gather(*stopping)

    async def close(self) -> None:
        """Give the brokers' connections back."""
        await asyncio.gather(*(_within(CLOSE_SECONDS, broker.close) for broker in (self._swift, self._slow)))

    def _actor(self, broker: dramatiq.Broker, name: str, queue: str) -> Callable[[str], Any]:
        def run(row_id: str) -> None:
            if work := self._works.get(queue):
                self._host.run_work(work, row_id)

        return dramatiq.actor(actor_name=name, queue_name=queue, broker=broker)(run).send


async def _within(seconds: float, act: Callable[..., object], *arguments: object) -> None:
    """Act in a thread, for actors need the loop meanwhile; a broker that hangs is left behind with its thread."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def run() -> None:
        try:
            act(*arguments)
        except Exception as error:  # brokers raise what their clients raise
            _log.warning("broker.not_closed", error=f"{type(error).__name__}: {error}")
        finally:
            _tell(loop, done)

    threading.Thread(target=run, name="payments-broker-end", daemon=True).start()
    try:
        async with asyncio.timeout(seconds):
            await done.wait()
    except TimeoutError:
        _log.warning("broker.left_behind", seconds=seconds)


def _tell(loop: asyncio.AbstractEventLoop, done: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(done.set)
