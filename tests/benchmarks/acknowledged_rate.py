"""How many events a second one member of a durable subscriber takes, each acknowledged, each ack confirmed.

A confirmation means that the ack is durable. The member uses plain stubs, decodes every event, and acknowledges each
by a message of its own, or all of a response at once.
"""

import asyncio
import time
from typing import Any

import grpc
from log_server_process import MANNERS, SERVICE, LogServerProcess

from payments_service.contract.pb.payments.v1 import fulfillment_stream_pb2 as pb

CREDIT = 1_000


async def measure_acknowledged(server: LogServerProcess, method: str, manner: str, events: int) -> float:
    """Let one member take the whole log; gives events a second."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        started = time.perf_counter()
        await _consume(channel, method, manner, events)
        return events / (time.perf_counter() - started)


async def _consume(channel: grpc.aio.Channel, method: str, manner: str, events: int) -> None:
    call: Any = channel.stream_stream(
        f"/{SERVICE}/{method}",
        request_serializer=pb.ConsumeFulfillmentsRequest.SerializeToString,
        response_deserializer=pb.ConsumeFulfillmentsResponse.FromString,
    )()
    opening = pb.OpenConsumer(subscriber=manner, member_id="member-1", credit=CREDIT)
    await call.write(pb.ConsumeFulfillmentsRequest(open=opening))
    confirmed = 0
    async for response in call:
        confirmed += len(response.ack_results.accepted)
        if confirmed >= events:
            break
        ids = [delivery.ack_id for delivery in response.deliveries.deliveries if delivery.event.order.order_id]
        for chosen in [[ack_id] for ack_id in ids] if manner == MANNERS[0] else [ids] * bool(ids):
            await call.write(pb.ConsumeFulfillmentsRequest(ack=pb.AckEvents(ack_ids=chosen)))
    call.cancel()
    await asyncio.wait([asyncio.ensure_future(call.code())])
