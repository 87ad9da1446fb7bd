"""The same for NATS JetStream: a log in a file, each message synced before it is confirmed, as ours are.

The payloads are the same events, and the client decodes and looks at each; it gets them as JetStream's clients do:
an ordered push consumer for catching up, a push consumer a subscription for the fan-out, pulls of a batch for acks.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import nats
from fan_out import CLIENTS, SETTLE_SECONDS, Crowd, answer
from log_events import realistic_event
from log_server_process import MANNERS, SPAWN, resident_kilobytes
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent

STREAM, SUBJECT = "log", "log.events"
PROGRAM = Path(sys.executable).with_name("nats-server")
BATCH = 100
UNCONFIRMED = 1_000


class JetStream(NamedTuple):
    """What one run gave."""

    catch_up: float
    last_milliseconds: float
    kilobytes_a_subscription: float
    acknowledged: dict[str, float]
    """Events a second by manner; the second waits until the server has confirmed its acks."""


async def measure_jetstream(folder: Path, events: int, acknowledged: int, crowd: Crowd, rounds: int) -> JetStream:
    """Fill a stream, and measure one thing after the other."""
    with _server(folder) as (port, process):
        async with _connected(port) as jetstream:
            await jetstream.add_stream(name=STREAM, subjects=[SUBJECT])
            await _fill(jetstream, events)
            caught_up = await _catch_up(jetstream, events)
            rates = {manner: await _acknowledge(jetstream, manner, acknowledged) for manner in MANNERS}
            last, kilobytes = await _fan_out(jetstream, port, process, crowd, rounds)
    return JetStream(caught_up, last, kilobytes, rates)


@contextmanager
def _server(folder: Path) -> Iterator[tuple[int, int]]:
    """Run one, durable, on a free port; gives the port and the process id."""
    settings = folder / "nats.conf"
    settings.write_text(
        f'listen: "127.0.0.1:-1"\nports_file_dir: "{folder}"\n'
        f'jetstream {{ store_dir: "{folder}", sync_interval: always }}\n'
    )
    process = subprocess.Popen([PROGRAM, "-c", settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield _port_of(folder, process), process.pid
    finally:
        process.terminate()
        process.wait(10)


def _port_of(folder: Path, process: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for path in folder.glob(f"*_{process.pid}.ports"):
            with contextlib.suppress(json.JSONDecodeError):
                return int(json.loads(path.read_text())["nats"][0].rpartition(":")[2])
    raise RuntimeError("nats-server does not say where it listens.")


@asynccontextmanager
async def _connected(port: int) -> AsyncIterator[Any]:
    client = await nats.connect(f"nats://127.0.0.1:{port}")
    try:
        yield client.jetstream(timeout=60, publish_async_max_pending=UNCONFIRMED)
    finally:
        await client.close()


async def _fill(jetstream: Any, events: int) -> None:  # noqa: ANN401  # the library's context
    now = datetime.now(UTC)
    for start in range(0, events, UNCONFIRMED // 2):
        count = min(UNCONFIRMED // 2, events - start)
        for _ in range(count):
            await jetstream.publish_async(SUBJECT, realistic_event(now).SerializeToString())
        await jetstream.publish_async_completed()


async def _catch_up(jetstream: Any, events: int) -> float:  # noqa: ANN401
    started, had = time.perf_counter(), 0
    subscription = await jetstream.subscribe(SUBJECT, ordered_consumer=True, pending_bytes_limit=1 << 30)
    async for message in subscription.messages:
        had += bool(FulfillmentEvent.FromString(message.data).order.order_id)
        if had == events:
            break
    rate = had / (time.perf_counter() - started)
    await subscription.unsubscribe()
    for consumer in await jetstream.consumers_info(STREAM):  # ordered ones stay for some seconds by themselves
        await jetstream.delete_consumer(STREAM, consumer.name)
    return rate


async def _acknowledge(jetstream: Any, manner: str, events: int) -> float:  # noqa: ANN401
    config = ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, max_ack_pending=UNCONFIRMED)
    name = manner.replace(" ", "-")
    subscription = await jetstream.pull_subscribe(SUBJECT, durable=name, config=config)
    started, done = time.perf_counter(), 0
    while done < events:
        messages = await subscription.fetch(BATCH)
        done += sum(bool(FulfillmentEvent.FromString(message.data).order.order_id) for message in messages)
        if manner == MANNERS[0]:
            for message in messages:
                await message.ack()
        else:
            await asyncio.gather(*(message.ack_sync() for message in messages))
    rate = done / (time.perf_counter() - started)
    await jetstream.delete_consumer(STREAM, name)  # a server takes a thousand, which the fan-out needs
    return rate


async def _fan_out(
    jetstream: Any,  # noqa: ANN401
    port: int,
    process: int,
    crowd: Crowd,
    rounds: int,
) -> tuple[float, float]:
    """Give the median time until the last subscription had a message, and the server's memory a subscription."""
    before = resident_kilobytes(process)
    share = Crowd(crowd.streams // CLIENTS, max(crowd.connections // CLIENTS, 1))
    pipes = [SPAWN.Pipe() for _ in range(CLIENTS)]
    children = [SPAWN.Process(target=_run, args=(port, share, theirs)) for _, theirs in pipes]
    for child in children:
        child.start()
    clients = [ours for ours, _ in pipes]
    for client in clients:
        await answer(client)
    await asyncio.sleep(SETTLE_SECONDS)
    kilobytes = (resident_kilobytes(process) - before) / crowd.streams
    times = []
    for _ in range(rounds):
        published = time.monotonic()
        await jetstream.publish(SUBJECT, realistic_event(datetime.now(UTC)).SerializeToString())
        times.append(max([await answer(client) for client in clients]) - published)
    for client, child in zip(clients, children, strict=True):
        client.send(None)
        child.join(60)
    return sorted(times)[len(times) // 2] * 1000, kilobytes


def _run(port: int, share: Crowd, pipe: Connection) -> None:
    asyncio.run(_follow(port, share, pipe))


async def _follow(port: int, share: Crowd, pipe: Connection) -> None:
    """Be a client, as fan_out's are."""
    had = 0

    async def take(message: Any) -> None:  # noqa: ANN401
        nonlocal had
        had += bool(FulfillmentEvent.FromString(message.data).order.order_id)
        if had % share.streams == 0:
            pipe.send(time.monotonic())

    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(_connected(port)) for _ in range(share.connections)]
        for _ in range(share.streams // share.connections):
            await asyncio.gather(*(each.subscribe(SUBJECT, cb=take, config=_from_now_on()) for each in connections))
        pipe.send("open")
        await asyncio.to_thread(pipe.recv)


def _from_now_on() -> ConsumerConfig:
    """Make what a subscription asks for; the library writes its own subject into it."""
    return ConsumerConfig(deliver_policy=DeliverPolicy.NEW, ack_policy=AckPolicy.NONE, mem_storage=True)
