"""A real gRPC server around methods that a test writes after the contract, and what it may refuse with."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message_factory import GetMessageClass
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from payments_client.pb.payments.v1 import operations_pb2, payments_pb2

SERVICES = (
    payments_pb2.DESCRIPTOR.services_by_name["Payments"],
    operations_pb2.DESCRIPTOR.services_by_name["Operations"],
)
Serving = Callable[..., Any]
Context = grpc.aio.ServicerContext[Any, Any]


@asynccontextmanager
async def serving(
    methods: Mapping[str, Serving], address: str = "127.0.0.1:0", certificate: tuple[Path, Path] | None = None
) -> AsyncIterator[str]:
    """Serve some methods until the context ends, which cuts off whatever is open; gives the address."""
    server = grpc.aio.server(
        options=(("grpc.so_reuseport", 0), ("grpc.http2.min_ping_interval_without_data_ms", 10_000))
    )
    for service in SERVICES:
        handlers = {
            name: _handler(service.methods_by_name[name], method)
            for name, method in methods.items()
            if name in service.methods_by_name
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))
    host, _, _ = address.rpartition(":")
    if certificate is None:
        port = server.add_insecure_port(address)
    else:
        chain, key = (path.read_bytes() for path in certificate)
        port = server.add_secure_port(address, grpc.ssl_server_credentials([(key, chain)]))
    await server.start()
    try:
        yield f"{host}:{port}"
    finally:
        await server.stop(0)


def _handler(method: MethodDescriptor, serve: Serving) -> "grpc.RpcMethodHandler[Any, Any]":
    wraps: dict[tuple[bool, bool], Any] = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    handler: grpc.RpcMethodHandler[Any, Any] = wraps[method.client_streaming, method.server_streaming](
        serve,
        request_deserializer=GetMessageClass(method.input_type).FromString,
        response_serializer=GetMessageClass(method.output_type).SerializeToString,
    )
    return handler


async def refuse(  # what a refusal may carry
    context: Context,
    code: grpc.StatusCode,
    reason: str = "",
    *,
    metadata: Mapping[str, str] | None = None,
    violations: Mapping[str, str] | None = None,
    retry_seconds: float | None = None,
    message: str = "It is so.",
) -> None:
    """Abort as the service does."""
    details = []
    if reason:
        details.append(ErrorInfo(reason=reason, domain="payments", metadata=metadata or {}))
    if violations:
        named = [BadRequest.FieldViolation(field=key, description=text) for key, text in violations.items()]
        details.append(BadRequest(field_violations=named))
    trailers: list[tuple[str, str | bytes]] = []
    if retry_seconds is not None:
        details.append(RetryInfo(retry_delay=Duration(nanos=int(retry_seconds * 1e9))))
        trailers.append(("grpc-retry-pushback-ms", str(int(retry_seconds * 1000))))
    packed = []
    for detail in details:
        packed.append(AnyMessage())
        packed[-1].Pack(detail)
    if packed:
        status = Status(code=code.value[0], message=message, details=packed)
        trailers.append(("grpc-status-details-bin", status.SerializeToString()))
    await context.abort(code, message, tuple(trailers))
