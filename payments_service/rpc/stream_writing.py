"""Writes a stream's responses to its client, and gives up on one that does not read.

A write that returns is not delivery: gRPC holds megabytes back. So a client that stalls is cut off after a while,
with the cursor of what was written, before it holds a batch of the log for ever.
"""

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import grpc

from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import StreamFulfillmentsResponse
from payments_service.errors import SlowConsumerError


async def write_stream(
    context: grpc.aio.ServicerContext[Any, Any], responses: AsyncIterator[bytes], write_seconds: float
) -> None:
    """Write one response after the other; raises SlowConsumerError."""
    written = b""
    async for response in responses:
        try:
            async with asyncio.timeout(write_seconds):
                await context.write(response)
        except TimeoutError as error:
            raise _too_slow(written, write_seconds) from error
        written = response


async def write_conversation(
    context: grpc.aio.ServicerContext[Any, Any], responses: AsyncIterator[bytes], write_seconds: float
) -> None:
    """Write the responses of a call whose place the service keeps; raises SlowConsumerError."""
    async for response in responses:
        try:
            async with asyncio.timeout(write_seconds):
                await context.write(response)
        except TimeoutError as error:
            raise SlowConsumerError(f"The client has not read for {write_seconds:g} s: open the call again.") from error


def _too_slow(written: bytes, write_seconds: float) -> SlowConsumerError:
    cursor = StreamFulfillmentsResponse.FromString(written).cursor
    return SlowConsumerError(
        f"The client has not read for {write_seconds:g} s: resume from the last cursor that it has.",
        cursor=base64.b64encode(cursor).decode(),
    )
