"""Reflection, so that tools which have no proto files can call this server; it shows the contract and no data."""

from collections.abc import Iterator, Sequence

import grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

LISTED = "grpc.reflection.v1alpha.ServerReflection"
SERVICES = (LISTED, "grpc.reflection.v1.ServerReflection")
"""Both mean the same bytes; the library has a descriptor of the older alone, and what is listed must be described."""
METHOD = "ServerReflectionInfo"
REFLECTION_METHODS = tuple(f"{service}/{METHOD}" for service in SERVICES)


def reflection_handlers(services: Sequence[str]) -> Iterator[grpc.GenericRpcHandler]:
    """Give gRPC's handlers of reflection, which lists the services and itself."""
    servicer = reflection.aio.ReflectionServicer([*services, LISTED])
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    for service in SERVICES:
        yield grpc.method_handlers_generic_handler(service, {METHOD: handler})
