"""Members of one durable subscriber on the service itself: they share the work, and lose none of it when one dies."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from acceptance.shop import Shop, open_shop, settings_in
from payments_client import (
    AsyncPaymentsClient,
    Event,
    EventFilter,
    EventType,
    MemberReplacedError,
    ParkedEvent,
    ParkEventError,
    Start,
    SubscriberExistsError,
    SubscriberNotFoundError,
)

PATIENCE = 40.0
NAME = "course-service"


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(settings_in(tmp_path)) as opened:
        yield opened


@pytest.fixture
async def client(shop: Shop) -> AsyncIterator[AsyncPaymentsClient]:
    async with AsyncPaymentsClient(shop.running.grpc_address) as opened, asyncio.timeout(PATIENCE):
        yield opened


class Member:
    """A replica, and what it has done."""

    def __init__(self, name: str, seconds: float = 0.02) -> None:
        """Take how long an event takes."""
        self.name = name
        self.seconds = seconds
        self.done: list[Event] = []
        self.running: set[str] = set()

    async def __call__(self, event: Event) -> None:
        """Handle an event."""
        assert event.order_id not in self.running
        self.running.add(event.order_id)
        await asyncio.sleep(self.seconds)
        self.running.discard(event.order_id)
        self.done.append(event)


async def sell(shop: Shop, number: int) -> set[str]:
    orders = [await shop.checkout(user_id=f"user_{at}") for at in range(number)]
    await asyncio.gather(*(shop.buyer(order) for order in orders))
    return {order.order_id for order in orders}


def fulfilled(*members: Member) -> set[str]:
    return {event.order_id for member in members for event in member.done if event.type is EventType.FULFILLED}


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110  # nobody tells
        await asyncio.sleep(0.02)


def in_order(*members: Member) -> bool:
    """Tell whether each order's events were first done in their order, by whomever."""
    seen: dict[str, list[int]] = defaultdict(list)
    for event in sorted((event for member in members for event in member.done), key=lambda event: event.order_version):
        seen[event.order_id].append(event.order_version)
    return all(set(versions) == set(range(1, max(versions) + 1)) for versions in seen.values())


@pytest.mark.timeout(180)
async def test_replicas_share_the_work_and_a_dead_one_s_share_is_taken_over(
    shop: Shop, client: AsyncPaymentsClient
) -> None:
    await client.subscribers.create(NAME, start=Start.EARLIEST)
    first, second = Member("first"), Member("second")
    async with AsyncPaymentsClient(shop.running.grpc_address) as doomed:
        dying = asyncio.create_task(doomed.consume(NAME, first, member_id="first"))
        stop = asyncio.Event()
        living = asyncio.create_task(client.consume(NAME, second, member_id="second", stop=stop))
        orders = await sell(shop, 8)
        while not (fulfilled(first) and fulfilled(second)):
            orders |= await sell(shop, 2)
        dying.cancel()
    orders |= await sell(shop, 6)
    await until(lambda: fulfilled(first, second) == orders)
    stop.set()
    await living

    assert in_order(first, second)
    assert all(len([event for event in member.done if event.attempt == 1]) for member in (first, second))


async def test_what_was_acknowledged_does_not_come_again_after_a_restart(
    shop: Shop, client: AsyncPaymentsClient
) -> None:
    await client.subscribers.create(NAME, start=Start.EARLIEST)
    before, after = Member("before"), Member("after")
    stop = asyncio.Event()
    running = asyncio.create_task(client.consume(NAME, before, stop=stop))
    first = await sell(shop, 5)
    await until(lambda: fulfilled(before) == first)
    stop.set()
    await running

    again = asyncio.Event()
    running = asyncio.create_task(client.consume(NAME, after, stop=again))
    second = await sell(shop, 3)
    await until(lambda: fulfilled(after) == second)
    again.set()
    await running

    assert {event.event_id for event in before.done} & {event.event_id for event in after.done} == set()


async def test_what_fails_comes_again_and_what_is_parked_can_be_replayed(
    shop: Shop, client: AsyncPaymentsClient
) -> None:
    await client.subscribers.create(
        NAME, start=Start.EARLIEST, filter=EventFilter(types=[EventType.FULFILLED]), max_attempts=3
    )
    attempts: list[int] = []
    mended = asyncio.Event()

    async def work(event: Event) -> None:
        attempts.append(event.attempt)
        if event.attempt == 2 and not mended.is_set():
            raise ParkEventError("no such course")
        if not mended.is_set():
            raise RuntimeError("not today")

    stop = asyncio.Event()
    running = asyncio.create_task(client.consume(NAME, work, stop=stop, shortest_backoff=0.05))
    await sell(shop, 1)
    await until(lambda: len(attempts) == 2)
    parked: list[ParkedEvent] = []
    while not parked:
        parked = [each async for each in client.subscribers.parked(NAME)]
    (standing,) = [each async for each in client.subscribers.list()]
    mended.set()
    assert await client.subscribers.replay(NAME, [parked[0].event.event_id]) == 1
    await until(lambda: len(attempts) == 3)
    stop.set()
    await running

    assert parked[0].last_reason == "ParkEventError: no such course"
    assert (standing.name, standing.parked, standing.members) == (NAME, 1, 1)
    assert [each async for each in client.subscribers.parked(NAME)] == []


async def test_a_subscriber_is_made_once_moved_and_deleted(shop: Shop, client: AsyncPaymentsClient) -> None:
    await client.subscribers.create(NAME, start=Start.LATEST)
    await client.subscribers.create(NAME, start=Start.LATEST, exist_ok=True)
    with pytest.raises(SubscriberExistsError):
        await client.subscribers.create(NAME, start=Start.LATEST)
    moved = await client.subscribers.seek(NAME, Start.EARLIEST)
    await client.subscribers.delete(NAME)
    with pytest.raises(SubscriberNotFoundError):
        await client.consume(NAME, print)

    assert moved.name == NAME


async def test_two_replicas_of_one_name_are_told(shop: Shop, client: AsyncPaymentsClient) -> None:
    await client.subscribers.create(NAME, start=Start.LATEST)
    first = asyncio.create_task(client.consume(NAME, print, member_id="the same"))
    await until_joined(client)
    second = asyncio.create_task(client.consume(NAME, print, member_id="the same"))
    with pytest.raises(MemberReplacedError, match="a member_id of its own"):
        await first
    second.cancel()


async def until_joined(client: AsyncPaymentsClient) -> None:
    while [each.members async for each in client.subscribers.list()] != [1]:  # noqa: ASYNC110  # nobody tells
        await asyncio.sleep(0.02)
