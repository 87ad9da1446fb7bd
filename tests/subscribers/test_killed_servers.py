"""Two real server processes over one database, of which one is killed: its members' work goes on at the other."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc
from database_servers.postgres_server import PostgresServer
from event_log.log_scene import Scene, everyone, open_scene, staged

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import StartPosition
from payments_service.contract.pb.payments.v1.subscriber_pb2 import Subscriber
from payments_service.event_log.subscriber_registry import SubscriberRegistry

from .group_checker import History, check
from .group_machine import now
from .group_scene import Member

SERVER = Path(__file__).with_name("plain_server.py")
NAME = "course-service"
EVENTS, ORDERS = 600, 60


@asynccontextmanager
async def served(url: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Run a server in a process of its own; gives its address."""
    command = (sys.executable, str(SERVER), url)
    process = await asyncio.create_subprocess_exec(
        *command, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL
    )
    assert process.stderr
    try:
        yield process, f"127.0.0.1:{int(await process.stderr.readline())}"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def work(address: str, name: str, history: History, stop: asyncio.Event) -> None:
    """Do whatever comes, until the server is gone or all is done."""
    async with grpc.aio.insecure_channel(address) as channel, Member(channel, NAME, name, credit=20) as member:
        events: dict[bytes, str] = {}
        while not stop.is_set():
            await member.read()
            for delivery in member.take():
                events[delivery.ack_id] = delivery.event.event_id
                history.handed.append((delivery.event.event_id, delivery.attempt))
                history.effects.append(delivery.event.event_id)
                await member.ack(delivery)
            history.accepted += [events.pop(ack_id) for ack_id in member.accepted]
            member.accepted.clear()


async def all_done(scene: Scene, registry: SubscriberRegistry) -> None:
    async with asyncio.timeout(30):
        while (  # noqa: ASYNC110  # another process does it
            (await registry.find(NAME, everyone())).backlog or scene.tailer.head < EVENTS
        ):
            await asyncio.sleep(0.05)


async def test_a_killed_servers_members_work_is_done_elsewhere(postgres: PostgresServer) -> None:
    history, stop = History(), asyncio.Event()
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(postgres.new_database(migrated=True))
        scene = await stack.enter_async_context(open_scene(url))
        registry = SubscriberRegistry(scene.database, now, lambda _: None)
        await registry.create(Subscriber(subscriber=NAME), StartPosition(earliest=True), everyone())
        doomed, first = await stack.enter_async_context(served(url))
        _, second = await stack.enter_async_context(served(url))
        members = [
            asyncio.create_task(work(address, name, history, stop))
            for address, name in ((first, "a"), (first, "b"), (second, "c"))
        ]
        log = [staged(number, order=f"ord_{number % ORDERS}") for number in range(1, EVENTS + 1)]
        for start in range(0, EVENTS, 100):
            await scene.stage(*log[start : start + 100])
            if start == EVENTS // 2:
                doomed.kill()
            await asyncio.sleep(0.1)
        await all_done(scene, registry)
        stop.set()
        for member in members:
            member.cancel()
        await asyncio.gather(*members, return_exceptions=True)
        events = [(event.event_id, event.ordering_key) for event in log]
        check(history, events, [event for event, _ in events], parked=(), poison=())
