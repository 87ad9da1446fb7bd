"""Sends calls over one asyncio channel, and turns what fails into the client's errors."""

from collections.abc import AsyncIterator
from typing import Any, TypeVar

import grpc

from payments_client.connection import CHANNEL_OPTIONS, Connection
from payments_client.error_reading import read_error
from payments_client.pb.payments.v1.operations_pb2_grpc import OperationsStub
from payments_client.pb.payments.v1.payments_pb2_grpc import PaymentsStub
from payments_client.unary_calls import PagedCall, UnaryCall

T = TypeVar("T")


class AsyncCaller:
    """A channel, and the stubs of both services on it."""

    def __init__(self, connection: Connection) -> None:
        """Open the channel; it connects with the first call."""
        self._connection = connection
        self.channel = _open_channel(connection)
        self.payments: Any = PaymentsStub(self.channel)
        self._stubs: dict[str, Any] = {"Payments": self.payments, "Operations": OperationsStub(self.channel)}

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Give what each call carries."""
        return self._connection.metadata()

    def open_consumer(self) -> Any:  # noqa: ANN401  # gRPC's class is generic in what differs here
        """Open a call that consumes."""
        return self.payments.ConsumeFulfillments(metadata=self.metadata())

    async def call(self, call: UnaryCall[T], timeout: float | None = None) -> T:
        """Send one call, its deadline the given one or its own; raises PaymentsError."""
        method = getattr(self._stubs[call.service], call.method)
        try:
            response = await method(call.request, timeout=timeout or call.seconds, metadata=self.metadata())
        except grpc.RpcError as error:
            raise read_error(error, call.request_id) from error
        return call.read(response)

    async def each(self, paged: PagedCall[T]) -> AsyncIterator[T]:
        """Give each item of a list, page after page."""
        token = ""
        while True:
            page = await self.call(paged.page(token))
            for item in page.items:
                yield item
            token = page.next_page_token
            if not token:
                return


def _open_channel(connection: Connection) -> grpc.aio.Channel:
    if connection.credentials is None:
        return grpc.aio.insecure_channel(connection.target, options=CHANNEL_OPTIONS)
    return grpc.aio.secure_channel(connection.target, connection.credentials, options=CHANNEL_OPTIONS)
