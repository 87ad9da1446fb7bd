"""Wake-ups make it fast, and only that: with every one of them lost, all that was stored is still done."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest

from payments_service.actors.broker import MAX_QUEUED, QueueFullError, make_broker
from payments_service.actors.crew import Crew
from payments_service.actors.duty_roster import DutyRoster
from payments_service.actors.host_loop import HostLoop
from payments_service.actors.message_waker import MAX_WAITING, PAUSE_SECONDS, MessageWaker
from payments_service.actors.sweep import Sweep, due_events, due_fulfillments
from payments_service.errors import ConfigurationError
from payments_service.orders.states import FulfillmentState

from .stages import Stages, session_of

PATIENCE = 10.0


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(PATIENCE):
        while not await holds():  # noqa: ASYNC110  # the condition is in the database
            await asyncio.sleep(0.01)


def sweeps_of(stages: Stages) -> list[Sweep]:
    return [
        Sweep("stripe_events", stages.database, due_events, stages.events.work),
        Sweep("fulfillments", stages.database, due_fulfillments, stages.fulfillments.work),
    ]


async def test_with_every_wake_up_lost_each_order_is_still_fulfilled(stages: Stages) -> None:
    orders = [await stages.order(checkout_session_id=None) for _ in range(20)]
    for order in orders:
        await stages.store("checkout.session.completed", session_of(order) | {"id": f"cs_{order.order_id}"})
    duties = [sweep.duty for sweep in sweeps_of(stages)]
    roster = asyncio.create_task(DutyRoster(stages.database, duties, "worker", lambda: 0.0).run())

    async def all_fulfilled() -> bool:
        states = {(await stages.order_now(order.order_id)).fulfillment_state for order in orders}
        return states == {FulfillmentState.FULFILLED}

    try:
        await until(all_fulfilled)
    finally:
        roster.cancel()
        await asyncio.gather(roster, return_exceptions=True)
    owed = [await stages.owed(order.order_id) for order in orders]
    assert [len(rows) for rows in owed] == [1] * 20


async def test_a_sweep_leaves_a_wake_up_its_time(stages: Stages) -> None:
    order = await stages.order()
    await stages.tell("checkout.session.completed", session_of(order))
    _, fulfillments = sweeps_of(stages)

    assert await fulfillments.sweep_once(overdue_seconds=60.0) == 0
    assert await fulfillments.sweep_once(overdue_seconds=0.0) == 1


@pytest.fixture
async def crew() -> AsyncIterator[Crew]:
    made = Crew(lambda: make_broker("memory://"), asyncio.get_running_loop())
    yield made
    await made.close()


async def test_a_message_runs_its_work_on_the_processs_own_loop(crew: Crew) -> None:
    worked: asyncio.Queue[tuple[str, int]] = asyncio.Queue()

    async def work(row_id: str) -> None:
        worked.put_nowait((row_id, threading.get_ident()))

    crew.employ(work, work)
    async with crew.at_work(), asyncio.timeout(PATIENCE):
        crew.apply_event("evt_1")
        crew.fulfill("ful_1")
        done = {await worked.get(), await worked.get()}

    assert done == {("evt_1", threading.get_ident()), ("ful_1", threading.get_ident())}


async def test_a_slow_plug_in_delays_no_event(crew: Crew) -> None:
    free, applied = asyncio.Event(), asyncio.Queue[str]()

    async def wait(_: str) -> None:
        await free.wait()

    crew.employ(applied.put, applied.put, wait)
    async with crew.at_work(threads=2), asyncio.timeout(PATIENCE):
        for number in range(20):
            crew.run_plugin(f"ful_{number}")
        crew.apply_event("evt_1")
        assert await applied.get() == "evt_1"
        free.set()


async def test_what_runs_at_the_end_is_finished_first(crew: Crew) -> None:
    begun, finished = asyncio.Event(), asyncio.Event()

    async def work(_: str) -> None:
        begun.set()
        await asyncio.sleep(0.2)
        finished.set()

    crew.employ(work, work)
    async with crew.at_work(), asyncio.timeout(PATIENCE):
        crew.apply_event("evt_1")
        await begun.wait()

    assert finished.is_set()


async def test_a_full_queue_refuses_the_wake_up(crew: Crew) -> None:
    for number in range(MAX_QUEUED):
        crew.apply_event(f"evt_{number}")
    with pytest.raises(QueueFullError):
        crew.apply_event("evt_one_too_many")


def test_a_broker_that_is_not_known_is_named_at_the_start() -> None:
    with pytest.raises(ConfigurationError, match="PAYMENTS_BROKER_URL"):
        make_broker("kafka://localhost")


@contextmanager
def waking(send: Callable[[str], object]) -> Iterator[MessageWaker]:
    waker = MessageWaker(send, send, send, lambda: None)
    waker.start()
    try:
        yield waker
    finally:
        waker.stop(PATIENCE)


def test_a_broker_that_hangs_holds_nobody_up_and_what_is_too_much_is_counted() -> None:
    free = threading.Event()

    with waking(lambda _: free.wait(PATIENCE)) as waker:
        for number in range(MAX_WAITING + 10):
            waker.wake_event(f"evt_{number}")
        dropped = waker.dropped
        free.set()

    assert 8 <= dropped <= 10


def test_a_broker_that_fails_is_counted_and_the_next_wake_up_still_sent() -> None:
    sent: list[str] = []

    def send(row_id: str) -> None:
        if row_id == "evt_bad":
            raise ConnectionError("no broker")
        sent.append(row_id)

    with waking(send) as waker:
        waker.wake_event("evt_bad")
        waker.wake_fulfillment("ful_good")

    assert (sent, waker.dropped) == (["ful_good"], 1)


def test_a_broker_that_is_away_is_tried_now_and_then_and_used_again_when_it_is_back() -> None:
    tried: list[str] = []
    now = [1.0]
    away = True

    def send(row_id: str) -> None:
        tried.append(row_id)
        if away:
            raise ConnectionError("no broker")

    waker = MessageWaker(send, send, send, lambda: None, lambda: now[0])
    waker.start()
    for number in range(100):
        waker.wake_event(f"evt_{number}")
    drops(waker, 100)
    away = False
    waker.wake_event("evt_soon")
    drops(waker, 101)
    now[0] += PAUSE_SECONDS
    waker.wake_event("evt_late")
    waker.stop(PATIENCE)

    assert (tried, waker.dropped) == (["evt_0", "evt_1", "evt_late"], 101)


def drops(waker: MessageWaker, number: int) -> None:
    """Wait until so many were dropped."""
    end = time.monotonic() + PATIENCE
    while waker.dropped < number and time.monotonic() < end:
        threading.Event().wait(0.01)


def test_a_message_that_comes_after_the_loop_has_stopped_is_left_to_the_next_process() -> None:
    loop = asyncio.new_event_loop()
    host = HostLoop(loop)
    worked: list[str] = []

    async def work(row_id: str) -> None:
        worked.append(row_id)

    host.run_work(work, "evt_1")
    loop.close()

    assert worked == []
