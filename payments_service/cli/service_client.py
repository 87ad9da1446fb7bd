"""Calls a running service by gRPC, each call with a deadline and the caller's token; it knows nothing of servers."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # before the import: a failed handshake is ours to tell
import grpc
from google.protobuf.message import Message

from payments_service.cli.call_failure import call_failure
from payments_service.cli.call_target import CallTarget, call_target
from payments_service.contract.pb.payments.v1.operations_pb2_grpc import OperationsStub
from payments_service.contract.pb.payments.v1.payments_pb2_grpc import PaymentsStub
from payments_service.settings import read_settings

DEADLINE = 10.0
LARGEST_MESSAGE = 64 * 1024 * 1024
Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)


class ServiceClient:
    """Both services behind one channel."""

    def __init__(self, channel: grpc.Channel, target: CallTarget) -> None:
        """Take an open channel."""
        self._target = target
        self.payments = PaymentsStub(channel)
        self.operations = OperationsStub(channel)

    def call(
        self,
        method: "grpc.UnaryUnaryMultiCallable[Request, Response]",
        request: Request,
        *,
        seconds: float = DEADLINE,
    ) -> Response:
        """Call once; raises CallFailedError."""
        try:
            return method(request, timeout=seconds, metadata=call_metadata(self._target))
        except grpc.RpcError as error:
            raise call_failure(error, self._target, seconds) from error


@contextmanager
def open_client() -> Iterator[ServiceClient]:
    """Open a channel to where PAYMENTS_TARGET says; nothing is sent before the first call."""
    target = call_target(read_settings())
    with grpc_channel(target) as channel:
        yield ServiceClient(channel, target)


def grpc_channel(target: CallTarget) -> grpc.Channel:
    """Make the channel."""
    options = channel_options(target)
    if target.secure:
        return grpc.secure_channel(target.address, channel_credentials(target), options)
    return grpc.insecure_channel(target.address, options)


def channel_options(target: CallTarget) -> Sequence[tuple[str, int]]:
    """Give what a channel needs beyond gRPC's defaults: a proxy never leads to this machine."""
    return (
        ("grpc.max_receive_message_length", LARGEST_MESSAGE),
        ("grpc.enable_http_proxy", int(not target.loopback)),
    )


def channel_credentials(target: CallTarget) -> grpc.ChannelCredentials:
    """Trust what PAYMENTS_TLS_CERT names, else what this machine trusts."""
    return grpc.ssl_channel_credentials(root_certificates=target.root_certificates)


def call_metadata(target: CallTarget) -> tuple[tuple[str, str | bytes], ...]:
    """Say who calls."""
    return (("authorization", f"Bearer {target.token}"),) if target.token else ()
