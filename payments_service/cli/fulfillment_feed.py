"""Reads the fulfillment stream and goes on from its cursor whenever the connection is lost; it shows nothing itself.

What the service refuses for good ends it; so does a service that was never there.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

import grpc

from payments_service.cli.call_failure import call_failure
from payments_service.cli.call_target import CallTarget
from payments_service.cli.service_client import call_metadata, channel_credentials, channel_options
from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import (
    StreamFulfillmentsRequest,
    StreamFulfillmentsResponse,
)
from payments_service.contract.pb.payments.v1.payments_pb2_grpc import PaymentsStub
from payments_service.errors import CallFailedError

FIRST_RESPONSE = 10.0
HEARTBEAT = 5
"""Seconds that are asked for; a dead connection is noticed after three of them."""
FIRST_DELAY, LONGEST_DELAY = 0.25, 5.0
MISSED_HEARTBEATS = 3
PASSING = frozenset(
    {"UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED", "CANCELLED", "DEADLINE_EXCEEDED", "INTERNAL", "UNKNOWN"}
)
"""Statuses after which the same request may well succeed."""
Stub = grpc.aio.UnaryStreamCall[StreamFulfillmentsRequest, StreamFulfillmentsResponse]


class FulfillmentFeed:
    """One stream over as many connections as it takes."""

    def __init__(
        self,
        target: CallTarget,
        request: StreamFulfillmentsRequest,
        notice: Callable[[str], None],
        chance: Callable[[], float],
    ) -> None:
        """Take the request with its start, whom to tell of interruptions, and a source of chance in 0..1."""
        self._target = target
        self._request = request
        self._notice = notice
        self._chance = chance
        self._opened = False
        self._failures = 0
        self._asked_delay = 0.0

    async def responses(self) -> AsyncIterator[StreamFulfillmentsResponse]:
        """Yield responses without a gap or a repetition; raises CallFailedError where going on is of no use."""
        while True:
            try:
                async for response in self._one_connection():
                    yield response
                    self._request.start.cursor = response.cursor
            except CallFailedError as error:
                await self._wait(error)

    async def _one_connection(self) -> AsyncIterator[StreamFulfillmentsResponse]:
        """Read until the connection is lost, which always raises CallFailedError.

        The channel is a new one each time: an old one would wait by its own, much longer backoff.
        """
        async with _channel(self._target) as channel:
            call = PaymentsStub(channel).StreamFulfillments(self._request, metadata=call_metadata(self._target))
            patience = FIRST_RESPONSE
            while (response := await self._read(call, patience)) is not None:
                self._connected()
                if response.HasField("opened"):
                    heartbeat = response.opened.heartbeat_interval.ToTimedelta().total_seconds()
                    patience = max(heartbeat, 1.0) * MISSED_HEARTBEATS
                if response.HasField("draining"):
                    self._asked_delay = response.draining.reconnect_delay.ToTimedelta().total_seconds()
                yield response
        raise CallFailedError("The service ended the stream.", status=grpc.StatusCode.UNAVAILABLE.name, reason="")

    def _connected(self) -> None:
        if self._failures:
            self._notice("Connected again: going on after the last event.")
        self._opened, self._failures = True, 0

    async def _read(self, call: Stub, patience: float) -> StreamFulfillmentsResponse | None:
        try:
            async with asyncio.timeout(patience):
                response = await call.read()
        except TimeoutError:
            message = f"{self._target.address} has been silent for {patience:g} s."
            raise CallFailedError(message, status=grpc.StatusCode.UNAVAILABLE.name, reason="") from None
        except grpc.RpcError as error:
            raise call_failure(error, self._target, patience) from error
        return response if isinstance(response, StreamFulfillmentsResponse) else None

    async def _wait(self, error: CallFailedError) -> None:
        """Wait before the next try, longer each time and never exactly as long as others do."""
        if not self._opened or error.metadata["status"] not in PASSING:
            raise error
        if not self._failures:
            self._notice(f"{error.message} Trying again until it answers.")
        ceiling = min(FIRST_DELAY * 2 ** min(self._failures, 10), LONGEST_DELAY)
        delay = self._asked_delay + ceiling * (0.5 + self._chance() / 2)
        self._failures, self._asked_delay = self._failures + 1, 0.0
        await asyncio.sleep(delay)


def _channel(target: CallTarget) -> grpc.aio.Channel:
    options = [*channel_options(target), ("grpc.use_local_subchannel_pool", 1)]
    if target.secure:
        return grpc.aio.secure_channel(target.address, channel_credentials(target), options)
    return grpc.aio.insecure_channel(target.address, options)
