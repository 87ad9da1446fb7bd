"""A member of a durable subscriber: opens sessions one after the other, runs the handler, acknowledges what it did.

An event is acknowledged after its handler has returned, never before; events of one order never overlap. At least once:
a handler that must not repeat its effect keeps the event_id with it.
"""

import asyncio
import inspect
import logging
import random
import socket
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import uuid4

from payments_client.client_errors import PaymentsError
from payments_client.consumer_session import ConsumerSession
from payments_client.delivery_types import ConsumerWish, Delivery, Handler, ParkEventError, RetryLaterError
from payments_client.order_lanes import OrderLanes
from payments_client.reconnecting import Backoff, is_final

REMEMBERED = 10_000
REASON_LENGTH = 500
_log = logging.getLogger("payments_client")
_Job = tuple[ConsumerSession, Delivery]


class Consumer:
    """Made by a client; `run` it once, in the client's event loop."""

    def __init__(self, wish: ConsumerWish, handler: Handler, open_call: Callable[[], Any]) -> None:
        """Take how to consume, what to do with each event, and how to open a call."""
        self._wish = wish if wish.member_id else replace(wish, member_id=_new_member_id())
        self._handler = handler
        self._blocks = not _is_async(handler)
        self._threads = ThreadPoolExecutor(wish.concurrency, "payments-handler") if self._blocks else None
        self._open_call = open_call
        self._lanes: OrderLanes[_Job] = OrderLanes(wish.concurrency, self._work)
        self._backoff = Backoff()
        self._done: OrderedDict[str, None] = OrderedDict()
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def stop(self) -> None:
        """End `run` in order: nothing new starts, what runs is finished and acknowledged; from any thread."""
        if self._loop is None:
            self._stopping.set()
        else:
            self._loop.call_soon_threadsafe(self._stopping.set)

    async def run(self) -> None:
        """Consume until `stop`; raises what would only be refused again. Cancelled, it drops everything at once."""
        self._loop = asyncio.get_running_loop()
        try:
            while not self._stopping.is_set():
                pause = await self._consume()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._stopping.wait()
            await self._settle()
        finally:
            self._lanes.take_back_all()
            await self._lanes.abandon()
            if self._threads is not None:
                self._threads.shutdown(wait=False)

    async def _consume(self) -> float:
        """Work through one session; gives the pause before the next one."""
        session = ConsumerSession(self._wish, self._open_call(), self._deliver, self._confirm, self._lose)
        ending = asyncio.create_task(self._end(session))
        try:
            failure = await session.run()
        finally:
            ending.cancel()
            self._lanes.take_back_all(lambda job: job[0] is session)
        if failure is not None and is_final(failure):
            await self._settle()
            raise failure
        return self._pause(session, failure)

    async def _end(self, session: ConsumerSession) -> None:
        """Finish the session when this consumer is stopped, or the service drains."""
        reasons = [asyncio.create_task(event.wait()) for event in (self._stopping, session.draining)]
        try:
            await asyncio.wait(reasons, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for reason in reasons:
                reason.cancel()
        self._lanes.take_back_all(lambda job: job[0] is session)
        await session.finish(self._lanes.idle)

    def _pause(self, session: ConsumerSession, failure: PaymentsError | None) -> float:
        if session.reconnect_delay is not None:
            _log.info("The payments service drains; %s goes on elsewhere.", self._wish.subscriber)
            return session.reconnect_delay
        if self._stopping.is_set():
            return 0.0
        if session.has_delivered:
            self._backoff.reset()
        pause = max(self._backoff.next_pause(), (failure and failure.retry_after) or 0.0)
        said = failure.message if failure else "It ended without a word."
        _log.warning("%s was cut off and goes on in %.1f s: %s", self._wish.subscriber, pause, said)
        return pause

    async def _settle(self) -> None:
        """Let what runs come to its end, within the grace."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._wish.stop_grace):
                await self._lanes.idle()

    def _deliver(self, session: ConsumerSession, delivery: Delivery) -> None:
        self._lanes.add(delivery.order, (session, delivery))

    def _confirm(self, delivery: Delivery) -> None:
        self._done.pop(delivery.event.event_id, None)

    def _lose(self, session: ConsumerSession, delivery: Delivery) -> None:
        """Drop what waits behind an event whose shard is another member's by now."""
        self._lanes.take_back(delivery.order, lambda job: job[0] is session)

    async def _work(self, job: _Job) -> None:
        session, delivery = job
        if not session.may_start():
            return
        if delivery.event.event_id not in self._done:
            try:
                await self._handle(delivery)
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                self._refuse(session, delivery, RuntimeError(f"The handler cancelled itself: {error}"))
                return
            except Exception as error:
                self._refuse(session, delivery, error)
                return
            self._remember(delivery.event.event_id)
        session.ack(delivery)

    async def _handle(self, delivery: Delivery) -> None:
        async with asyncio.timeout(self._wish.handler_timeout):
            if self._threads is not None:
                await asyncio.get_running_loop().run_in_executor(self._threads, self._handler, delivery.event)
                return
            result = self._handler(delivery.event)
            if result is not None:
                await result

    def _remember(self, event_id: str) -> None:
        """Keep what is done and perhaps never acknowledged, so that it is not done again here."""
        self._done[event_id] = None
        if len(self._done) > REMEMBERED:
            self._done.popitem(last=False)

    def _refuse(self, session: ConsumerSession, delivery: Delivery, error: Exception) -> None:
        """Give an event back, and behind it what has come of its order, so that none overtakes it."""
        event, park = delivery.event, isinstance(error, ParkEventError)
        what = "is set aside" if park else "comes again"
        _log.warning("The handler failed at %s of %s: it %s.", event.event_id, event.order_id, what, exc_info=error)
        delay = error.delay if isinstance(error, RetryLaterError) else self._backoff_of(event.attempt)
        session.nack([delivery], _reason(error), 0.0 if park else delay, park)
        if park:
            return
        behind = [job[1] for job in self._lanes.take_back(delivery.order, lambda job: job[0] is session)]
        session.hold(delivery, behind)

    def _backoff_of(self, attempt: int) -> float:
        bound = min(self._wish.longest_backoff, self._wish.shortest_backoff * 2.0 ** min(attempt - 1, 32))
        return bound * (0.5 + random.random() / 2)  # noqa: S311  # spreads load, guards nothing


def _reason(error: Exception) -> str:
    """Say what failed, without what no proto field holds and no database takes."""
    text = f"{type(error).__name__}: {error}".replace("\0", "")[:REASON_LENGTH]
    return text.encode("utf-8", "replace").decode("utf-8")


def _is_async(handler: Handler) -> bool:
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None))  # noqa: B004


def _new_member_id() -> str:
    """Name this member for as long as it lives: a reconnect gets its shards back at once."""
    return f"{socket.gethostname()}-{uuid4().hex[:8]}"
