"""How soon one event is at each of many streams, what an idle stream costs, and how often the log is read for them.

The streams are open from processes of their own, which decode what comes; the clock is the machine's, which they
share.
"""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import grpc
from catch_up_rate import open_stream
from log_server_process import SPAWN, LogServerProcess

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import StartPosition
from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import StreamFulfillmentsRequest

CLIENTS = 2
"""Processes."""
SETTLE_SECONDS = 0.5
PATIENCE = 120.0


class Crowd(NamedTuple):
    """How many streams, over how many connections."""

    streams: int
    connections: int


class FanOut(NamedTuple):
    """What one crowd gave."""

    last_milliseconds: float
    """From the beginning of the commit until the last stream had the event; the median of the rounds."""
    worst_milliseconds: float
    kilobytes_a_stream: float
    """Of the server, while nothing happens."""
    reads_an_event: float


async def measure_fan_out(server: LogServerProcess, method: str, crowd: Crowd, rounds: int) -> FanOut:
    """Open the streams, wait until they are idle, and publish one event a round."""
    publish = "publish" if method == "StreamFulfillments" else "publish_bare"
    before = await server.ask("memory")
    async with _crowd(server.port, method, crowd) as clients:
        memory = await server.ask("memory") - before
        read = await server.ask("page_statements")
        times, reads = [], []
        for _ in range(rounds):
            published = await server.ask(publish)
            lasts = [await answer(client) for client in clients]
            times.append((max(lasts) - published) * 1000)
            now = await server.ask("page_statements")
            reads.append(now - read)
            read = now
    return FanOut(statistics.median(times), max(times), memory / crowd.streams / 1024, statistics.median_low(reads))


@asynccontextmanager
async def _crowd(port: int, method: str, crowd: Crowd) -> AsyncIterator[list[Connection]]:
    pipes = [SPAWN.Pipe() for _ in range(CLIENTS)]
    share = Crowd(crowd.streams // CLIENTS, max(crowd.connections // CLIENTS, 1))
    children = [SPAWN.Process(target=_run, args=(port, method, share, theirs)) for _, theirs in pipes]
    for child in children:
        child.start()
    clients = [ours for ours, _ in pipes]
    try:
        for client in clients:
            await answer(client)
        await asyncio.sleep(SETTLE_SECONDS)
        yield clients
    finally:
        for client, child in zip(clients, children, strict=True):
            client.send(None)
            child.join(60)


async def answer(client: Connection) -> Any:  # noqa: ANN401  # as the client says
    """Take what a client says; one that is silent has missed something."""
    if not await asyncio.to_thread(client.poll, PATIENCE):
        raise TimeoutError(f"A client has been silent for {PATIENCE:g} s.")
    return client.recv()


def _run(port: int, method: str, share: Crowd, pipe: Connection) -> None:
    asyncio.run(_follow(port, method, share, pipe))


async def _follow(port: int, method: str, share: Crowd, pipe: Connection) -> None:
    """Be a client: say when all streams are open, and of each event, when the last of them had it."""
    had = 0

    async def stream(channel: grpc.aio.Channel, opened: asyncio.Event) -> None:
        nonlocal had
        async for response in open_stream(channel, method)(StreamFulfillmentsRequest(start=StartPosition(latest=True))):
            if response.HasField("caught_up"):
                opened.set()
            had += len(response.events)
            if response.events and had % share.streams == 0:
                pipe.send(time.monotonic())

    async with AsyncExitStack() as stack:
        channels = [await stack.enter_async_context(_channel(port)) for _ in range(share.connections)]
        opened = [asyncio.Event() for _ in range(share.streams)]
        tasks = [
            asyncio.create_task(stream(channels[number % share.connections], event))
            for number, event in enumerate(opened)
        ]
        await asyncio.gather(*(event.wait() for event in opened))
        pipe.send("open")
        await asyncio.to_thread(pipe.recv)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _channel(port: int) -> Any:  # noqa: ANN401
    """Open a connection of its own; channels of one process would share one."""
    return grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)])
