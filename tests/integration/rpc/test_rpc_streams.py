"""Many streams over the real server: each ends in order, none disturbs the others, and none leaves anything behind."""

import asyncio
import gc
import os
from collections.abc import AsyncIterator, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from event_log.log_scene import running, staged
from faults.fault_proxy import proxying
from structlog.testing import capture_logs

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import StartPosition
from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import StreamFulfillmentsRequest
from payments_service.contract.pb.payments.v1.payments_pb2_grpc import PaymentsStub
from payments_service.event_log.fulfillment_stream import FulfillmentStreams
from payments_service.event_log.open_stream import OpenStream
from payments_service.event_log.stream_surroundings import StreamLimits
from payments_service.event_log.tailer import Tailer
from payments_service.rpc.grpc_server import ServerConfig, open_server
from payments_service.storage.log_rows import SEQUENCE_BATCH, append_events

from .rpc_service import SHOP, RpcService, bearer, refusal, until

if TYPE_CHECKING:
    from payments_service.contract.pb.payments.v1.payments_pb2_grpc import PaymentsAsyncStub

LONG = bool(os.environ.get("PAYMENTS_TEST_LONG"))
RECONNECTS = 1_000 if LONG else 100
CANCELLED = 20_000 if LONG else 2_000
AT_ONCE = 50
HALF_OPEN_SECONDS = 16.0
BUSY_SECONDS = 4.0
"""By how much a machine that is busy may be late."""
AS_SHOP = bearer(SHOP)
EARLIEST = StreamFulfillmentsRequest(start=StartPosition(earliest=True))
LATEST = StreamFulfillmentsRequest(start=StartPosition(latest=True))


@dataclass
class Replica:
    """Another process's server, as far as streams can tell: its tailer has nothing in memory yet."""

    address: str
    tailer: Tailer


@asynccontextmanager
async def replica(service: RpcService, limits: StreamLimits | None = None, **config: float) -> AsyncIterator[Replica]:
    """Serve the streams of a service's log once more."""
    database = service.stages.database
    tailer = Tailer(database)
    await tailer.open()
    streams = FulfillmentStreams(database, tailer, service.stages.now, limits=limits)
    parts = replace(service.parts, streams=streams)
    settings = replace(ServerConfig("127.0.0.1:0", drain_seconds=2.0), **config)  # type: ignore[arg-type]  # seconds
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(tailer.run()))
        server = await stack.enter_async_context(open_server(settings, parts))
        yield Replica(server.address, tailer)


@asynccontextmanager
async def client(address: str) -> AsyncIterator["PaymentsAsyncStub"]:
    async with grpc.aio.insecure_channel(address) as channel:
        yield PaymentsStub(channel)


async def publish(service: RpcService, first: int, count: int, padding: int = 0) -> None:
    for start in range(first, first + count, SEQUENCE_BATCH):
        numbers = range(start, min(start + SEQUENCE_BATCH, first + count))
        async with service.stages.database.transaction() as tx:
            await append_events(tx, [staged(number, padding=padding) for number in numbers])
        await service.log()


async def open_live(payments: "PaymentsAsyncStub") -> Any:  # noqa: ANN401  # the stubs name no call
    """Open a stream, and read until it has caught up."""
    return await caught_up(payments.StreamFulfillments(LATEST, metadata=AS_SHOP))


async def caught_up(call: Any) -> Any:  # noqa: ANN401
    """Read a stream until it is live."""
    while not (await call.read()).HasField("caught_up"):
        pass
    return call


async def drained(call: Any) -> None:  # noqa: ANN401
    """Read a stream to its end, which must be in order."""
    last = None

    async def read() -> None:
        nonlocal last
        while True:
            last = await call.read()

    assert (await refusal(read())).reason == "DRAINING"
    assert last is not None
    assert last.HasField("draining")
    assert last.cursor


async def is_answered(logs: list[MutableMapping[str, Any]]) -> bool:
    return any(line["event"] == "rpc.answered" for line in logs)


async def test_streams_of_the_same_age_end_by_draining_each_at_a_time_of_its_own(service: RpcService) -> None:
    age, now = 4.0, asyncio.get_running_loop().time
    async with replica(service, StreamLimits(age=age)) as server, client(server.address) as payments:

        async def lifetime() -> float:
            began = now()
            await drained(await open_live(payments))
            return now() - began

        lifetimes = await asyncio.gather(*(lifetime() for _ in range(40)))

    assert 0.8 * age <= min(lifetimes) < 0.97 * age
    assert max(lifetimes) > 1.03 * age


async def test_many_streams_are_told_to_go_when_the_server_stops(service: RpcService) -> None:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(replica(service))
        async with client(server.address) as payments:
            ends = [asyncio.create_task(drained(await open_live(payments))) for _ in range(100)]

            await stack.aclose()
            await asyncio.gather(*ends)


async def test_a_client_that_does_not_read_disturbs_nobody(service: RpcService) -> None:
    async with (
        replica(service, write_seconds=1.0) as server,
        client(server.address) as stalled,
        client(server.address) as payments,
    ):
        await open_live(stalled)
        reading, had = await open_live(payments), 0
        with capture_logs() as logs:
            for first in range(1, 61, 10):
                await publish(service, first, 10, padding=400_000)
                server.tailer.hint()
                while had < first + 9:
                    had += len((await reading.read()).events)
            await until(lambda: is_answered(logs))

    assert had == 60
    assert next(line["reason"] for line in logs if line["event"] == "rpc.answered") == "SLOW_CONSUMER"


async def test_a_half_open_client_is_found_within_sixteen_seconds(service: RpcService) -> None:
    async with replica(service) as server, proxying(int(server.address.rpartition(":")[2])) as proxy:
        async with client(f"127.0.0.1:{proxy.port}") as payments:
            await open_live(payments)
            with capture_logs() as logs:
                proxy.black_hole()
                async with asyncio.timeout(HALF_OPEN_SECONDS + BUSY_SECONDS):
                    while not await is_answered(logs):  # noqa: ASYNC110  # there is no event to wait for
                        await asyncio.sleep(0.05)

        assert [line["code"] for line in logs if line["event"] == "rpc.answered"] == ["CANCELLED"]


@pytest.mark.timeout(300)
async def test_many_streams_that_reconnect_at_once_read_few_pages(service: RpcService) -> None:
    await publish(service, 1, 3_000)
    async with replica(service) as server, client(server.address) as payments:

        async def reconnect() -> int:
            had = 0
            async for response in payments.StreamFulfillments(EARLIEST, metadata=AS_SHOP):
                had += len(response.events)
                if response.HasField("caught_up"):
                    return had
            return had

        read = await asyncio.gather(*(reconnect() for _ in range(RECONNECTS)))

        assert set(read) == {3_000}
        assert server.tailer.page_reads <= 3_000 // 512 + 2


@pytest.mark.timeout(900)
async def test_cancelled_streams_leave_nothing_behind(service: RpcService) -> None:
    await publish(service, 1, 10)
    async with replica(service) as server, client(server.address) as payments:

        async def come_and_go() -> None:
            (await caught_up(payments.StreamFulfillments(EARLIEST, metadata=AS_SHOP))).cancel()

        async def many(count: int) -> int:
            for _ in range(count // AT_ONCE):
                await asyncio.gather(*(come_and_go() for _ in range(AT_ONCE)))
            await until(no_stream_is_left)
            return len(gc.get_objects())

        before = await many(CANCELLED // 4)
        after = await many(CANCELLED)

    # Even one object a stream would be a leak.
    assert after - before < CANCELLED // 2


async def no_stream_is_left() -> bool:
    gc.collect()
    return not any(isinstance(found, OpenStream) for found in gc.get_objects())
