"""Joins the contract's methods to the coroutines that serve them, by name, from the generated descriptors.

A method of the contract that nobody serves, or for which no policy stands, stops the start.
"""

import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeAlias

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from payments_service.errors import ConfigurationError
from payments_service.rpc.call_interceptor import CallInterceptor

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


def method_names(service: ServiceDescriptor) -> Iterator[str]:
    """Name a service's methods as policies and logs do."""
    return (f"{service.full_name}/{method.name}" for method in service.methods)


def service_handler(
    service: ServiceDescriptor, servicer: object, interceptor: CallInterceptor
) -> grpc.GenericRpcHandler:
    """Give gRPC's handler of a whole service; raises ConfigurationError where a method is not served."""
    handlers = {method.name: _handler(service, method, servicer, interceptor) for method in service.methods}
    return grpc.method_handlers_generic_handler(service.full_name, handlers)


def _handler(
    service: ServiceDescriptor, method: MethodDescriptor, servicer: object, interceptor: CallInterceptor
) -> Handler:
    name = f"{service.full_name}/{method.name}"
    servicing = getattr(servicer, _snake_case(method.name), None)
    if servicing is None:
        raise ConfigurationError(f"Nothing serves {name}: {type(servicer).__name__} has no {_snake_case(method.name)}.")
    kind: type[Message] = GetMessageClass(method.input_type)
    if method.client_streaming:
        return _as_handler(method, interceptor.conversation(name, kind, servicing))
    wrap = interceptor.stream if method.server_streaming else interceptor.unary
    return _as_handler(method, wrap(name, kind, servicing))


def _as_handler(method: MethodDescriptor, answer: Callable[..., Awaitable[Any]]) -> Handler:
    """Register bytes in, and bytes out where a stream is spliced from stored bytes."""
    kinds: dict[tuple[bool, bool], Callable[..., Handler]] = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    serializer = None if method.server_streaming else GetMessageClass(method.output_type).SerializeToString
    return kinds[method.client_streaming, method.server_streaming](answer, response_serializer=serializer)


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
