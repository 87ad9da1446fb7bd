"""Consuming: acknowledged when it is done, each order in order, again after a failure, nothing lost at an end."""

import asyncio
import logging
import random
import threading
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import grpc
import pytest
from payments_client import (
    AsyncPaymentsClient,
    Consumer,
    Event,
    ParkEventError,
    PaymentsClient,
    RetryLaterError,
    SubscriberNotFoundError,
)

from .contract_server import Context, refuse, serving
from .group_server import GroupServer
from .log_server import log_of

PATIENCE = 30.0
QUICK = {"shortest_backoff": 0.02, "longest_backoff": 0.1, "heartbeat": 0.2, "stop_grace": 5.0}
Opened = Callable[..., Consumer]


class Work:
    """What a handler has done."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.done: list[Event] = []
        self.started: list[Event] = []
        self.running = 0
        self.most_running = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, event: Event) -> None:
        """Handle an event, once the gate is open."""
        self.started.append(event)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await self.gate.wait()
            await asyncio.sleep(self.seconds)
        finally:
            self.running -= 1
        self.done.append(event)


def versions(events: list[Event]) -> dict[str, list[int]]:
    """Give the versions of each order as they were first done."""
    found: dict[str, list[int]] = defaultdict(list)
    for event in events:
        if event.order_version not in found[event.order_id]:
            found[event.order_id].append(event.order_version)
    return found


def assert_in_order(events: list[Event]) -> None:
    for order, seen in versions(events).items():
        assert seen == sorted(seen), order


@asynccontextmanager
async def consuming(
    server: GroupServer, handler: Callable[[Event], object], **options: object
) -> AsyncIterator[Consumer]:
    """Run a consumer until the context ends, then stop it."""
    async with (
        serving({"ConsumeFulfillments": server.consume}) as address,
        AsyncPaymentsClient(address) as client,
    ):
        consumer = client.consumer("course-service", handler, **(QUICK | options))  # type: ignore[arg-type]
        running = asyncio.create_task(consumer.run())
        try:
            async with asyncio.timeout(PATIENCE):
                yield consumer
            consumer.stop()
            await asyncio.wait_for(running, PATIENCE)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.005)


async def test_every_event_is_done_once_in_its_orders_order_and_acknowledged_after_it() -> None:
    server, work = GroupServer(log_of(200, orders=7)), Work(0.001)
    async with consuming(server, work, concurrency=4):
        await until(lambda: server.is_done)

    assert sorted(server.acked) == sorted(event.event_id for event in work.done)
    assert len(server.acked) == 200
    assert_in_order(work.done)


async def test_orders_are_worked_on_at_once_up_to_the_concurrency_and_one_order_never_twice() -> None:
    server, work = GroupServer(log_of(60, orders=20)), Work()
    work.gate.clear()
    async with consuming(server, work, concurrency=6):
        await until(lambda: work.running == 6)
        assert len({event.order_id for event in work.started}) == 6
        work.gate.set()
        await until(lambda: server.is_done)

    assert work.most_running == 6


async def test_no_more_is_out_than_was_asked_for() -> None:
    server, work = GroupServer(log_of(100, orders=50)), Work(0.001)
    async with consuming(server, work, concurrency=2, prefetch=5):
        await until(lambda: server.is_done)

    assert server.sessions[0].opening.credit == 5
    assert server.most_out == 5


async def test_nothing_is_acknowledged_before_its_handler_has_returned() -> None:
    server, work = GroupServer(log_of(3, orders=3)), Work()
    work.gate.clear()
    async with consuming(server, work):
        await until(lambda: work.running == 3)
        await until(lambda: server.sessions[0].pings > 0)
        assert server.acked == []
        work.gate.set()
        await until(lambda: len(server.acked) == 3)


@pytest.mark.parametrize("prefetch", [1, 40], ids=["one at a time", "many of an order out"])
async def test_what_fails_comes_again_and_nothing_of_its_order_overtakes_it(prefetch: int) -> None:
    server = GroupServer(log_of(120, orders=4), max_attempts=1000)
    chance, done = random.Random(1), list[Event]()  # noqa: S311  # chooses what fails

    async def work(event: Event) -> None:
        await asyncio.sleep(0.001)
        if chance.random() < 0.2:
            raise RuntimeError("not today")
        done.append(event)

    async with consuming(server, work, concurrency=1 if prefetch == 1 else 4, prefetch=prefetch):
        await until(lambda: server.is_done)

    assert Counter(event.event_id for event in done) == Counter(server.acked)
    assert len(server.acked) == 120
    assert_in_order(done)
    assert ("RuntimeError: not today") in {reason for _, reason in server.reasons}


async def test_an_error_whose_text_cannot_be_sent_is_told_without_what_cannot(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # The traceback has the text too, and pytest cannot send it from process to process either.
    caplog.set_level(logging.CRITICAL, "payments_client")
    server = GroupServer(log_of(2))

    async def work(event: Event) -> None:
        if event.attempt == 1:
            raise ValueError("no file 'a\0b\udce9'")

    async with consuming(server, work):
        await until(lambda: server.is_done)

    assert {reason for _, reason in server.reasons} == {"ValueError: no file 'ab?'"}


async def test_attempts_are_counted_and_the_last_one_is_parked_while_its_order_goes_on() -> None:
    server, attempts, done = GroupServer(log_of(6, orders=2), max_attempts=3), list[int](), list[Event]()

    def work(event: Event) -> None:
        if event.event_id == "evt_1":
            attempts.append(event.attempt)
            raise ValueError("no such course")
        done.append(event)

    async with consuming(server, work):
        await until(lambda: server.is_done)

    assert attempts == [1, 2, 3]
    assert server.parked == {"evt_1": "ValueError: no such course"}
    assert sorted(server.acked) == [f"evt_{number}" for number in range(2, 7)]
    assert_in_order(done)


async def test_a_handler_decides_to_wait_or_to_set_aside() -> None:
    server, times = GroupServer(log_of(2, orders=2)), dict[str, list[float]]()
    loop = asyncio.get_running_loop()

    async def work(event: Event) -> None:
        times.setdefault(event.event_id, []).append(loop.time())
        if event.event_id == "evt_1" and event.attempt == 1:
            raise RetryLaterError("the course opens soon", delay=0.5)
        if event.event_id == "evt_2":
            raise ParkEventError("a person must look")

    async with consuming(server, work):
        await until(lambda: server.is_done)

    first, second = times["evt_1"]
    assert second - first >= 0.5
    assert server.acked == ["evt_1"]
    assert server.parked == {"evt_2": "ParkEventError: a person must look"}


async def test_a_handler_that_takes_too_long_has_failed() -> None:
    server = GroupServer(log_of(1))

    async def work(event: Event) -> None:
        await asyncio.sleep(60 if event.attempt == 1 else 0)

    async with consuming(server, work, handler_timeout=0.1):
        await until(lambda: server.is_done)

    assert server.acked == ["evt_1"]
    assert server.reasons[0][1].startswith("TimeoutError")


async def test_a_blocking_handler_runs_in_threads() -> None:
    server, threads = GroupServer(log_of(40, orders=8)), set[str]()
    together = threading.Barrier(3, timeout=PATIENCE)
    met = threading.Event()

    def work(_: Event) -> None:
        threads.add(threading.current_thread().name)
        if not met.is_set():
            together.wait()
            met.set()

    async with consuming(server, work, concurrency=3):
        await until(lambda: server.is_done)

    assert len(threads) == 3
    assert len(server.acked) == 40


async def test_a_stop_finishes_what_runs_starts_nothing_and_gets_its_acks_confirmed() -> None:
    server, work = GroupServer(log_of(50, orders=10)), Work()
    work.gate.clear()
    async with consuming(server, work, concurrency=3, prefetch=20) as consumer:
        await until(lambda: work.running == 3)
        consumer.stop()
        await until(lambda: server.sessions[0].is_closing)
        work.gate.set()

    assert len(work.started) == len(work.done) == 3
    assert sorted(server.acked) == sorted(event.event_id for event in work.done)
    assert len(server.sessions) == 1


async def test_a_stop_waits_only_so_long_for_a_handler() -> None:
    server, work = GroupServer(log_of(1)), Work()
    work.gate.clear()
    async with consuming(server, work, stop_grace=0.2):
        await until(lambda: work.running == 1)

    assert work.done == []
    assert server.acked == []
    assert list(server.waiting) == ["evt_1"]


@pytest.mark.parametrize("ending", ["cut", "silent", "drain"])
async def test_a_session_that_ends_starts_nothing_more_and_nothing_is_done_twice(ending: str) -> None:
    server, work = GroupServer(log_of(60, orders=12)), Work()
    work.gate.clear()
    async with consuming(server, work, concurrency=3, prefetch=30):
        await until(lambda: work.running == 3)
        server.end(ending)
        if ending == "drain":
            await until(lambda: server.sessions[0].is_closing)
        else:
            await until(lambda: len(server.sessions) == 2)
        assert len(work.started) == 3
        work.gate.set()
        await until(lambda: server.is_done)

    assert Counter(event.event_id for event in work.done) == Counter(server.acked)
    assert len(server.acked) == 60
    assert_in_order(work.done)


async def test_through_many_cuts_and_failures_everything_is_acknowledged_and_in_order() -> None:
    server, chance, done = GroupServer(log_of(300, orders=9), max_attempts=1000), random.Random(3), list[Event]()  # noqa: S311

    async def work(event: Event) -> None:
        await asyncio.sleep(0.002)
        if chance.random() < 0.08:
            raise RuntimeError("not today")
        done.append(event)

    async def cut() -> None:
        while True:
            await asyncio.sleep(0.1)
            server.end("cut")

    async with consuming(server, work, concurrency=4, prefetch=40):
        cutting = asyncio.create_task(cut())
        await until(lambda: server.is_done)
        cutting.cancel()

    assert len(set(server.acked)) == 300
    assert len(server.sessions) > 2
    assert_in_order(done)


async def test_an_event_that_another_member_got_is_not_followed_by_what_waited_behind_it() -> None:
    server, work = GroupServer(log_of(10, orders=1)), Work()
    server.lose = {"evt_1"}
    async with consuming(server, work, concurrency=1, prefetch=10):
        await until(lambda: server.attempts["evt_1"] == 2)
        await until(lambda: "evt_1" in server.acked)

    assert [event.event_id for event in work.done].count("evt_1") == 1
    assert_in_order(work.done)


async def test_a_member_at_long_work_keeps_its_lease_by_pings() -> None:
    server, work = GroupServer(log_of(1), lease=0.3), Work(1.0)
    async with consuming(server, work):
        await until(lambda: server.is_done)

    assert server.sessions[0].pings >= 5
    assert len(server.sessions) == 1


async def test_a_process_that_stood_still_beyond_its_lease_starts_nothing_of_its_old_session() -> None:
    server, work = GroupServer(log_of(4, orders=1), lease=0.3), Work()
    stalled = threading.Event()

    async def stand_still(event: Event) -> None:
        await work(event)
        if event.event_id == "evt_1":
            stalled.wait(0.8)  # blocks the loop, as a garbage collection or a stopped container does

    async with consuming(server, stand_still, concurrency=1, prefetch=4):
        await until(lambda: server.is_done)

    assert len(server.sessions) == 2
    assert [event.attempt for event in work.done] == [1, 2, 2, 2]


async def test_a_member_keeps_its_name_when_it_comes_back() -> None:
    server, work = GroupServer(log_of(10)), Work()
    async with consuming(server, work):
        await until(lambda: server.is_done)
        server.end("cut")
        await until(lambda: len(server.sessions) == 2)

    names = {session.opening.member_id for session in server.sessions}
    assert len(names) == 1
    assert names != {""}


async def test_what_would_be_refused_again_ends_the_consumer() -> None:
    async def consume(_: object, context: Context) -> None:
        await refuse(context, grpc.StatusCode.NOT_FOUND, "SUBSCRIBER_NOT_FOUND", metadata={"subscriber": "x"})

    async with serving({"ConsumeFulfillments": consume}) as address, AsyncPaymentsClient(address) as client:
        with pytest.raises(SubscriberNotFoundError, match="Create it first"):
            await asyncio.wait_for(client.consume("x", Work()), PATIENCE)


async def test_consume_ends_when_its_event_is_set() -> None:
    server, work, stop = GroupServer(log_of(5)), Work(), asyncio.Event()
    async with (
        serving({"ConsumeFulfillments": server.consume}) as address,
        AsyncPaymentsClient(address) as client,
    ):
        consuming_it = asyncio.create_task(client.consume("course-service", work, stop=stop))
        await until(lambda: server.is_done)
        stop.set()
        await asyncio.wait_for(consuming_it, PATIENCE)

    assert len(server.acked) == 5


async def test_a_blocking_client_consumes_and_stops() -> None:
    server, done, stop = GroupServer(log_of(30)), list[str](), threading.Event()

    def run(address: str) -> None:
        with PaymentsClient(address) as client:
            client.consume("course-service", lambda event: done.append(event.event_id), stop=stop, concurrency=3)

    async with serving({"ConsumeFulfillments": server.consume}) as address:
        running = asyncio.create_task(asyncio.to_thread(run, address))
        await until(lambda: server.is_done)
        stop.set()
        await asyncio.wait_for(running, PATIENCE)

    assert sorted(done) == sorted(server.acked)


def test_options_that_cannot_work_are_refused() -> None:
    with PaymentsClient("127.0.0.1:9") as client:
        for options in ({"concurrency": 0}, {"concurrency": 8, "prefetch": 4}, {"prefetch": 10_001}):
            with pytest.raises(ValueError, match="concurrency must be"):
                client.consume("course-service", print, **options)  # type: ignore[arg-type]
