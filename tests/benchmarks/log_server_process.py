"""The server that the stream benchmarks measure, in a process of its own, with bare handlers beside the real ones.

The real ones go through the service's own path of a call. The bare ones write the same bytes from memory and do
nothing else: what they give is what grpc.aio and the client give on this machine.
"""

import asyncio
import cProfile
import gc
import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, aclosing, contextmanager, nullcontext
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import grpc
from bare_handlers import BareHandlers
from event_log.log_scene import running
from log_events import fill, stage
from sqlalchemy import Engine, event

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import StartPosition
from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import (
    ConsumeFulfillmentsRequest,
    StreamFulfillmentsRequest,
    StreamFulfillmentsResponse,
)
from payments_service.contract.pb.payments.v1.subscriber_pb2 import Subscriber
from payments_service.event_log.fulfillment_consumption import FulfillmentConsumers
from payments_service.event_log.fulfillment_stream import FulfillmentStreams
from payments_service.event_log.sequencer import Sequencer
from payments_service.event_log.subscriber_registry import SubscriberRegistry
from payments_service.event_log.tailer import Tailer
from payments_service.observability.logs import configure_logs
from payments_service.rpc.call_interceptor import CallInterceptor
from payments_service.rpc.callers import ANONYMOUS, AnyCaller
from payments_service.rpc.grpc_server import CHANNEL_OPTIONS
from payments_service.storage.database import Database, open_database
from payments_service.storage.schema import migrate

SERVICE = "payments.v1.Payments"
MANNERS = ("each event", "each response")
"""How acks come; a subscriber of this name for each."""
PROFILE = Path("/tmp/stream-benchmark.profile")
SPAWN = multiprocessing.get_context("spawn")
"""Never fork: grpc does not survive it."""


class LogServer:
    """Answers the commands of the process that measures."""

    def __init__(self, database: Database, tailer: Tailer, sequencer: Sequencer, streams: FulfillmentStreams) -> None:
        """Take what is measured."""
        self._database = database
        self._tailer = tailer
        self._sequencer = sequencer
        self._streams = streams
        self._page_statements = 0
        self.bare = BareHandlers()
        event.listen(Engine, "before_cursor_execute", self._count)

    async def publish(self) -> float:
        """Commit one event; gives when that began."""
        began = time.monotonic()
        await stage(self._database, 1)
        self._sequencer.poke()
        return began

    async def publish_bare(self) -> float:
        """Let the bare handlers write one event; gives when that began."""
        began = time.monotonic()
        self.bare.publish()
        return began

    async def record(self, batch: int) -> int:
        """Keep in memory what a stream of the whole log sends, for the bare handler; gives how many events."""
        request = StreamFulfillmentsRequest(start=StartPosition(earliest=True), max_batch_size=batch)
        async with aclosing(await self._streams.open(request, lambda: ANONYMOUS)) as responses:
            async for response in responses:
                self.bare.responses.append(response)
                if StreamFulfillmentsResponse.FromString(response).HasField("caught_up"):
                    break
        return self._tailer.head

    async def page_statements(self) -> int:
        """Count the statements that have read events from the log so far."""
        return self._page_statements

    async def memory(self) -> int:
        """Give the bytes that this process holds."""
        gc.collect()
        return resident_kilobytes(os.getpid()) * 1024

    def _count(self, *arguments: Any) -> None:  # noqa: ANN401
        self._page_statements += "event_log.frame" in arguments[2]


async def serve(url: str, count: int, commands: Connection, profile: bool) -> None:
    """Fill a log, listen, and do as told until told to stop."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(url))
        await migrate(database)
        await fill(database, count)
        tailer = Tailer(database)
        await tailer.open()
        await stack.enter_async_context(running(tailer.run()))
        sequencer = Sequencer(database, tailer.hint)
        await stack.enter_async_context(running(sequencer.run()))
        streams = FulfillmentStreams(database, tailer, _now)
        consumers = FulfillmentConsumers(database, tailer, _now)
        log_server = LogServer(database, tailer, sequencer, streams)
        registry = SubscriberRegistry(database, _now, consumers.tell)
        for name in MANNERS if count else ():
            await registry.create(Subscriber(subscriber=name), StartPosition(earliest=True), ANONYMOUS)
        server = grpc.aio.server(options=CHANNEL_OPTIONS)
        handlers = _handlers(streams, consumers) | log_server.bare.handlers()
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        commands.send(port)
        with cProfile.Profile() if profile else nullcontext() as profiler:
            await _obey(log_server, commands)
        if profiler:
            profiler.dump_stats(PROFILE)
        streams.drain()
        consumers.drain()
        await server.stop(1)
        await consumers.departed()


async def _obey(log_server: LogServer, commands: Connection) -> None:
    while (command := await asyncio.to_thread(commands.recv)) is not None:
        name, arguments = command
        commands.send(await getattr(log_server, name)(*arguments))


def _handlers(streams: FulfillmentStreams, consumers: FulfillmentConsumers) -> dict[str, Any]:
    interceptor = CallInterceptor(AnyCaller(), write_seconds=60.0)
    stream = interceptor.stream(
        f"{SERVICE}/StreamFulfillments",
        StreamFulfillmentsRequest,
        lambda request, call: streams.open(request, call.current_caller),
    )
    consume = interceptor.conversation(
        f"{SERVICE}/ConsumeFulfillments",
        ConsumeFulfillmentsRequest,
        lambda requests, call: consumers.open(requests, call.current_caller),
    )
    return {
        "StreamFulfillments": grpc.unary_stream_rpc_method_handler(stream),
        "ConsumeFulfillments": grpc.stream_stream_rpc_method_handler(consume),
    }


def _now() -> datetime:
    return datetime.now(UTC)


def _run(url: str, count: int, commands: Connection, profile: bool) -> None:
    with Path(os.devnull).open("w") as log:
        configure_logs("json", log)
        asyncio.run(serve(url, count, commands, profile))


class LogServerProcess:
    """The server, as the process that measures sees it."""

    def __init__(self, port: int, commands: Connection) -> None:
        """Take where it listens, and how to tell it something."""
        self.port = port
        self._commands = commands

    async def ask(self, command: str, *arguments: object) -> Any:  # noqa: ANN401  # as the command gives
        """Have a command of LogServer done."""
        self._commands.send((command, arguments))
        return await asyncio.to_thread(self._commands.recv)


def resident_kilobytes(process: int) -> int:
    """Give the memory that a process holds."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


@contextmanager
def log_server(url: str, count: int, *, profile: bool = False) -> Iterator[LogServerProcess]:
    """Run a server over a log of so many events."""
    ours, theirs = SPAWN.Pipe()
    child = SPAWN.Process(target=_run, args=(url, count, theirs, profile))
    child.start()
    try:
        yield LogServerProcess(ours.recv(), ours)
    finally:
        ours.send(None)
        child.join(10)
