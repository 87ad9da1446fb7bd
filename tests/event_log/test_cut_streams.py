"""A stream over real gRPC through a proxy that cuts it after any number of bytes: the pieces together are the log."""

import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path

import grpc
import pytest
from faults.fault_proxy import FaultProxy, proxying
from integration.rpc.rpc_service import RpcService, bearer, open_service
from subscribers.group_scene import Group

from payments_service.contract.pb.payments.v1 import fulfillment_stream_pb2 as pb
from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import (
    FulfillmentEvent,
    FulfillmentFilter,
    StartPosition,
)
from payments_service.contract.pb.payments.v1.payments_pb2_grpc import PaymentsStub

from .log_scene import FULFILLED

ORDERS, EACH = 40, 4
LONGEST_PIECE = 4_000
"""Bytes: shorter than the log, longer than a connection's greeting."""


@pytest.fixture
async def service(database_url: str, tmp_path: Path) -> AsyncIterator[RpcService]:
    async with open_service(tmp_path, database_url=database_url) as opened:
        yield opened


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("by", ["event", "response"])
async def test_a_stream_cut_anywhere_and_resumed_is_the_log(service: RpcService, seed: int, by: str) -> None:
    chance = random.Random(seed)  # noqa: S311
    group, wanted = Group(service), list[str]()
    for _ in range(EACH):
        wanted += await group.fill(orders=ORDERS, event_type=FULFILLED)
        await group.fill(orders=ORDERS)
    got: list[str] = []
    cursor, cuts = b"", 0
    async with proxying(int(service.address.rpartition(":")[2])) as proxy:
        while len(got) < len(wanted):
            cuts += 1
            proxy.cut_after = chance.randrange(200, LONGEST_PIECE)
            async with aclosing(piece(proxy, cursor, chance.choice([1, 7, 100]))) as responses:
                async for response in responses:
                    for event in response.events:
                        got.append(event.event_id)
                        cursor = event.cursor
                        if by == "event" and chance.random() < 0.02:
                            break  # it crashes between two events of a response
                    else:
                        cursor = response.cursor if by == "response" else cursor
                        continue
                    break

    assert got == wanted
    assert cuts > 5


async def piece(proxy: FaultProxy, cursor: bytes, batch: int) -> AsyncGenerator[pb.StreamFulfillmentsResponse]:
    """Read a stream until it is cut, or all has come."""
    start = StartPosition(cursor=cursor) if cursor else StartPosition(earliest=True)
    narrowed = FulfillmentFilter(types=[FulfillmentEvent.TYPE_FULFILLED])
    request = pb.StreamFulfillmentsRequest(start=start, filter=narrowed, max_batch_size=batch)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{proxy.port}") as channel:
        call = PaymentsStub(channel).StreamFulfillments(request, metadata=bearer("shop"))
        try:
            async for response in call:
                yield response
                if response.WhichOneof("signal") == "caught_up":
                    return
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
        finally:
            call.cancel()
