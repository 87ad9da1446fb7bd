"""Sends calls over one blocking channel, and turns what fails into the client's errors."""

from collections.abc import Iterator
from typing import Any, TypeVar

import grpc

from payments_client.connection import CHANNEL_OPTIONS, Connection
from payments_client.error_reading import read_error
from payments_client.pb.payments.v1.operations_pb2_grpc import OperationsStub
from payments_client.pb.payments.v1.payments_pb2_grpc import PaymentsStub
from payments_client.unary_calls import PagedCall, UnaryCall

T = TypeVar("T")


class SyncCaller:
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

    def call(self, call: UnaryCall[T], timeout: float | None = None) -> T:
        """Send one call, its deadline the given one or its own; raises PaymentsError."""
        method = getattr(self._stubs[call.service], call.method)
        try:
            response = method(call.request, timeout=timeout or call.seconds, metadata=self.metadata())
        except grpc.RpcError as error:
            raise read_error(error, call.request_id) from error
        return call.read(response)

    def each(self, paged: PagedCall[T]) -> Iterator[T]:
        """Give each item of a list, page after page."""
        token = ""
        while True:
            page = self.call(paged.page(token))
            yield from page.items
            token = page.next_page_token
            if not token:
                return


def _open_channel(connection: Connection) -> grpc.Channel:
    if connection.credentials is None:
        return grpc.insecure_channel(connection.target, options=CHANNEL_OPTIONS)
    return grpc.secure_channel(connection.target, connection.credentials, options=CHANNEL_OPTIONS)
