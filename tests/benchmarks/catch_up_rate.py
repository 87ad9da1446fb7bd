"""How many events a second a stream from the beginning brings to one Python client that decodes all of them."""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import grpc
from log_server_process import SERVICE, LogServerProcess

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import StartPosition
from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import (
    StreamFulfillmentsRequest,
    StreamFulfillmentsResponse,
)


class CatchUp(NamedTuple):
    """Events a second, medians."""

    ours: float
    bare: float
    """The same bytes, the same client, a handler that has them in memory."""


async def measure_catch_up(server: LogServerProcess, batch: int, rounds: int) -> CatchUp:
    """Take turns between the two, so that a noisy minute falls on both."""
    events = await server.ask("record", batch)
    ours, bare = list[float](), list[float]()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        for _ in range(rounds):
            ours.append(await _read(channel, "StreamFulfillments", batch, events))
            bare.append(await _read(channel, "BareStream", batch, events))
    return CatchUp(statistics.median(ours), statistics.median(bare))


async def _read(channel: grpc.aio.Channel, method: str, batch: int, events: int) -> float:
    """Read the whole log, decoding and looking at every event; gives events a second."""
    request = StreamFulfillmentsRequest(start=StartPosition(earliest=True), max_batch_size=batch)
    started, had = time.perf_counter(), 0
    call = open_stream(channel, method)(request)
    async for response in call:
        had += sum(1 for event in response.events if event.order.order_id)
        if had == events:
            break
    seconds = time.perf_counter() - started
    call.cancel()
    return had / seconds


def open_stream(channel: grpc.aio.Channel, method: str) -> Callable[[StreamFulfillmentsRequest], Any]:
    """Give what calls one of the server's streams, real or bare."""
    return channel.unary_stream(
        f"/{SERVICE}/{method}",
        request_serializer=StreamFulfillmentsRequest.SerializeToString,
        response_deserializer=StreamFulfillmentsResponse.FromString,
    )
