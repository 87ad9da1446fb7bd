"""The Python client as members of a real subscriber: work shared, order kept, failures come again, then are parked."""

import asyncio
from collections import defaultdict

from payments_client import AsyncPaymentsClient, Event
from sqlalchemy import func, select

from payments_service.storage.tables import subscriber_shards

from .group_scene import Group


async def test_two_clients_share_the_work_in_order_and_one_that_stops_leaves_it_to_the_other(group: Group) -> None:
    await group.create()
    seen: dict[str, list[tuple[str, str]]] = defaultdict(list)
    stops = {name: asyncio.Event() for name in ("a", "b")}

    async def member(name: str) -> None:
        async def handle(event: Event) -> None:
            seen[event.order_id].append((event.event_id, name))
            await asyncio.sleep(0)

        async with AsyncPaymentsClient(group.service.address, token="shop") as client:
            await client.consume(group.name, handle, member_id=name, stop=stops[name])

    running = {name: asyncio.create_task(member(name)) for name in stops}
    await group.until(lambda: shares(group), [16, 16])
    events = await group.fill(orders=40, each=3)
    await group.until(lambda: backlog(group), 0)
    stops["a"].set()
    await running["a"]
    events += await group.fill(orders=40)
    await group.until(lambda: backlog(group), 0)
    stops["b"].set()
    await running["b"]

    for order in seen.values():
        assert [event for event, _ in order] == sorted(event for event, _ in order)
    done = [line for order in seen.values() for line in order]
    assert sorted(event for event, _ in done) == sorted(events)
    assert {name for _, name in done} == {"a", "b"}
    assert {name for event, name in done if event in events[120:]} == {"b"}


async def test_what_a_clients_handler_cannot_do_comes_again_and_is_parked_at_last(group: Group) -> None:
    poison, *others = await group.fill(orders=3, each=2)
    await group.create(max_attempts=2)
    attempts: list[tuple[str, int]] = []
    stop = asyncio.Event()

    async def handle(event: Event) -> None:
        attempts.append((event.event_id, event.attempt))
        if event.event_id == poison:
            raise ValueError("no such course")

    async with AsyncPaymentsClient(group.service.address, token="shop") as client:
        running = asyncio.create_task(client.consume(group.name, handle, shortest_backoff=0.1, stop=stop))
        await group.until(lambda: backlog(group), 0)
        stop.set()
        await running

    assert sorted(attempts) == sorted([(poison, 1), (poison, 2), *((event, 1) for event in others)])
    (parked,) = await group.parked()
    assert (parked.event.event_id, parked.last_reason) == (poison, "ValueError: no such course")


async def shares(group: Group) -> list[int]:
    held = select(func.count()).where(subscriber_shards.c.holder != "").group_by(subscriber_shards.c.holder)
    async with group.service.stages.database.reading() as reading:
        return list((await reading.execute(held)).scalars())


async def backlog(group: Group) -> int:
    return (await group.standing()).backlog
