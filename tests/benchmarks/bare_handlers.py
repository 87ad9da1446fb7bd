"""gRPC handlers that write bytes from memory and do nothing else: the limits of this machine, beside which we stand."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import grpc
from log_events import realistic_event

from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import (
    AckResults,
    CaughtUp,
    ConsumeFulfillmentsRequest,
    ConsumeFulfillmentsResponse,
    Deliveries,
    Delivery,
    StreamFulfillmentsResponse,
)

Context = grpc.aio.ServicerContext[Any, Any]
BUNCH = 100
"""Deliveries a response: about what a subscriber with a credit of 1,000 is sent."""


class BareHandlers:
    """What is written is recorded beforehand, or made once."""

    def __init__(self) -> None:
        """Start without anything recorded."""
        self.responses: list[bytes] = []
        """What BareStream writes."""
        self._published = asyncio.Event()
        self._count = 0
        event = realistic_event(datetime.now(UTC))
        event.cursor = bytes(37)
        self._live = StreamFulfillmentsResponse(events=[event], cursor=bytes(37)).SerializeToString()
        self._bunch = ConsumeFulfillmentsResponse(
            deliveries=Deliveries(deliveries=[Delivery(ack_id=bytes(20), event=event, attempt=1)] * BUNCH)
        ).SerializeToString()

    def publish(self) -> None:
        """Let BareLive write one event to everybody."""
        self._count += 1
        published, self._published = self._published, asyncio.Event()
        published.set()

    def handlers(self) -> dict[str, Any]:
        """Give gRPC's handlers by their method's name."""
        return {
            "BareStream": grpc.unary_stream_rpc_method_handler(self._stream),
            "BareLive": grpc.unary_stream_rpc_method_handler(self._follow),
            "BareConsume": grpc.stream_stream_rpc_method_handler(self._consume),
        }

    async def _stream(self, _: bytes, context: Context) -> None:
        for response in self.responses:
            await context.write(response)

    async def _follow(self, _: bytes, context: Context) -> None:
        written = self._count
        await context.write(StreamFulfillmentsResponse(caught_up=CaughtUp()).SerializeToString())
        while True:
            while written == self._count:
                await self._published.wait()
            written += 1
            await context.write(self._live)

    async def _consume(self, requests: AsyncIterator[bytes], context: Context) -> None:
        """Keep what is outstanding within the credit, and confirm acks out of hand."""
        room = 0
        async for data in requests:
            request = ConsumeFulfillmentsRequest.FromString(data)
            if request.HasField("open"):
                room = request.open.credit
            else:
                room += len(request.ack.ack_ids)
                results = AckResults(accepted=request.ack.ack_ids)
                await context.write(ConsumeFulfillmentsResponse(ack_results=results).SerializeToString())
            while room >= BUNCH:
                room -= BUNCH
                await context.write(self._bunch)
