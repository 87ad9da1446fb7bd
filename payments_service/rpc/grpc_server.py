"""Opens and drains the gRPC server: both services of the contract, health and reflection on one address.

It drains in this order: health says NOT_SERVING, streams are told to reconnect elsewhere, calls under way may finish.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import cast

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc

from payments_service.checkout.cancellation import Cancellation
from payments_service.checkout.creation import CheckoutCreation
from payments_service.checkout.expiration import CheckoutExpiration
from payments_service.checkout.lookup import OrderLookup
from payments_service.checkout.order_wait import OrderWait
from payments_service.checkout.refunding import Refunding
from payments_service.contract.pb.payments.v1 import operations_pb2, payments_pb2
from payments_service.errors import ConfigurationError
from payments_service.event_log.fulfillment_consumption import FulfillmentConsumers
from payments_service.event_log.fulfillment_stream import FulfillmentStreams
from payments_service.event_log.subscriber_registry import SubscriberRegistry
from payments_service.fulfillment.desk import FulfillmentDesk
from payments_service.inbox.reconciler import Reconciler
from payments_service.inbox.replay import EventReplay
from payments_service.rpc.call_interceptor import CallInterceptor
from payments_service.rpc.callers import CallerResolver
from payments_service.rpc.method_policy import require_policies
from payments_service.rpc.method_table import method_names, service_handler
from payments_service.rpc.operations_servicer import OperationsServicer, ServiceFacts
from payments_service.rpc.payments_servicer import PaymentsServicer
from payments_service.rpc.service_health import ServiceHealth
from payments_service.rpc.service_reflection import REFLECTION_METHODS, reflection_handlers
from payments_service.rpc.tls_files import read_tls_files
from payments_service.storage.database import Database

PAYMENTS = payments_pb2.DESCRIPTOR.services_by_name["Payments"]
OPERATIONS = operations_pb2.DESCRIPTOR.services_by_name["Operations"]
HEALTH = cast("ServiceDescriptor", health_pb2.DESCRIPTOR.services_by_name["Health"])
MESSAGE_BYTES = 4 * 1024 * 1024
"""What clients take unless they are told otherwise."""
CHANNEL_OPTIONS = (
    ("grpc.so_reuseport", 0),  # two servers on one port would share its calls by chance
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),  # without it a dead client is noticed after 70 s
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # What a client that never reads leaves behind goes with its connection; the grace is longer than a stream lives.
    ("grpc.max_connection_age_ms", 60 * 60_000),
    ("grpc.max_connection_age_grace_ms", 40 * 60_000),
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
)


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Where and how to listen."""

    address: str
    """host:port; port 0 takes a free one."""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    drain_seconds: float = 8.0
    """How long calls under way may take to finish; what holds out longer is cancelled."""
    write_seconds: float = 60.0
    """How long a stream waits for a client that does not read."""


@dataclass(frozen=True, slots=True)
class ServerParts:
    """The stages behind the server; whoever opened them closes them."""

    database: Database
    callers: CallerResolver
    creation: CheckoutCreation
    expiration: CheckoutExpiration
    lookup: OrderLookup
    waiting: OrderWait
    refunding: Refunding
    cancellation: Cancellation
    desk: FulfillmentDesk
    replay: EventReplay
    reconciler: Reconciler
    streams: FulfillmentStreams
    consumers: FulfillmentConsumers
    subscribers: SubscriberRegistry
    clock: Callable[[], datetime]
    facts: ServiceFacts


@dataclass(frozen=True, slots=True)
class RpcServer:
    """A server that is listening."""

    address: str
    """Where it really listens: host:port."""


@asynccontextmanager
async def open_server(config: ServerConfig, parts: ServerParts) -> AsyncIterator[RpcServer]:
    """Listen until the context ends, then drain; raises ConfigurationError."""
    server = grpc.aio.server(options=CHANNEL_OPTIONS)
    health = ServiceHealth([PAYMENTS.full_name, OPERATIONS.full_name])
    _add_services(server, parts, CallInterceptor(parts.callers, config.write_seconds), health)
    address = _listen(server, config)
    await server.start()
    try:
        yield RpcServer(address)
    finally:
        health.drain()
        parts.streams.drain()
        parts.consumers.drain()
        await server.stop(config.drain_seconds)
        await parts.consumers.departed()


def _add_services(
    server: grpc.aio.Server, parts: ServerParts, interceptor: CallInterceptor, health: ServiceHealth
) -> None:
    require_policies([*method_names(PAYMENTS), *method_names(OPERATIONS), *method_names(HEALTH), *REFLECTION_METHODS])
    payments = PaymentsServicer(
        database=parts.database,
        callers=parts.callers,
        creation=parts.creation,
        expiration=parts.expiration,
        lookup=parts.lookup,
        waiting=parts.waiting,
        refunding=parts.refunding,
        cancellation=parts.cancellation,
        desk=parts.desk,
        streams=parts.streams,
        consumers=parts.consumers,
        clock=parts.clock,
    )
    operations = OperationsServicer(
        database=parts.database,
        desk=parts.desk,
        replay=parts.replay,
        reconciler=parts.reconciler,
        subscribers=parts.subscribers,
        facts=parts.facts,
    )
    server.add_generic_rpc_handlers(
        (
            service_handler(PAYMENTS, payments, interceptor),
            service_handler(OPERATIONS, operations, interceptor),
            *reflection_handlers([PAYMENTS.full_name, OPERATIONS.full_name, HEALTH.full_name]),
        )
    )
    health_pb2_grpc.add_HealthServicer_to_server(health, server)


def _listen(server: grpc.aio.Server, config: ServerConfig) -> str:
    credentials = _credentials(config)
    try:
        if credentials is None:
            port = server.add_insecure_port(config.address)
        else:
            port = server.add_secure_port(config.address, credentials)
    except RuntimeError as error:
        raise ConfigurationError(
            f"PAYMENTS_GRPC_ADDRESS: cannot listen on {config.address}. Stop what listens there, or name another "
            "address of this machine (port 0 takes a free one)."
        ) from error
    host, _, _ = config.address.rpartition(":")
    return f"{host}:{port}"


def _credentials(config: ServerConfig) -> grpc.ServerCredentials | None:
    files = read_tls_files(config.tls_cert, config.tls_key)
    return None if files is None else grpc.ssl_server_credentials([(files.key, files.certificate)])
