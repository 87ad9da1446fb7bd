"""Asks a process of this machine whether it is at work, as a container's health check does; it starts nothing."""

import os
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING

from payments_service.cli.call_target import local_address
from payments_service.cli.option_types import ProcessWord
from payments_service.errors import ConfigurationError, PaymentsError
from payments_service.settings import Settings, read_settings, split_address

if TYPE_CHECKING:
    import grpc

SECONDS = 5.0


class UnhealthyError(PaymentsError):
    """Raised when a process does not say that it is well."""


def probe_health(process: ProcessWord | None) -> str:
    """Ask one process, or else whichever of them listens; gives what it answered, raises UnhealthyError."""
    settings = read_settings()
    if process is not None:
        return _PROBES[process](settings)
    complaints: list[str] = []
    for probe in _PROBES.values():
        try:
            return probe(settings)
        except (UnhealthyError, ConfigurationError) as error:
            complaints.append(error.message)
    raise UnhealthyError(" ".join(complaints))


def _serve(settings: Settings) -> str:
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # before the import: a failure is ours to tell
    import grpc
    from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
    from grpc_health.v1.health_pb2_grpc import HealthStub

    address = local_address(settings.grpc_address)
    with _channel(settings, address) as channel:
        try:
            check = HealthStub(channel).Check  # type: ignore[attr-defined]  # the stubs lack it
            answer = check(HealthCheckRequest(), timeout=SECONDS)
        except grpc.RpcError as error:
            raise UnhealthyError(f"gRPC at {address}: {error.code().name}.") from error
    status = HealthCheckResponse.ServingStatus.Name(answer.status)
    if answer.status != HealthCheckResponse.SERVING:
        raise UnhealthyError(f"gRPC at {address}: {status}.")
    return f"gRPC at {address}: {status}"


def _channel(settings: Settings, address: str) -> "grpc.Channel":
    import grpc

    if settings.tls_cert is None or settings.tls_key is None:
        return grpc.insecure_channel(address)
    from payments_service.rpc.tls_files import see_certificate

    # It is our own certificate, made for the name that others call.
    names = see_certificate(settings.tls_cert, settings.tls_key).names
    options = [("grpc.ssl_target_name_override", names[0])] if names else []
    credentials = grpc.ssl_channel_credentials(settings.tls_cert.read_bytes())
    return grpc.secure_channel(address, credentials, options)


def _bridge(settings: Settings) -> str:
    return _get(settings.bridge_address, "/healthz")


def _worker(settings: Settings) -> str:
    if not settings.metrics_address:
        raise ConfigurationError("A worker listens nowhere but at PAYMENTS_METRICS_ADDRESS: set it.")
    return _get(settings.metrics_address, "/metrics")


_PROBES: dict[ProcessWord, Callable[[Settings], str]] = {
    ProcessWord.SERVE: _serve,
    ProcessWord.BRIDGE: _bridge,
    ProcessWord.WORKER: _worker,
}


def _get(address: str, path: str) -> str:
    host, port = split_address(local_address(address))
    connection = HTTPConnection(host.strip("[]"), port, timeout=SECONDS)
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        raise UnhealthyError(f"http://{host}:{port}{path}: {error}.") from error
    finally:
        connection.close()
    if status != 200:
        raise UnhealthyError(f"http://{host}:{port}{path}: {status}.")
    return f"http://{host}:{port}{path}: {status}"
