"""How a client reaches the service: address, TLS, token, and the channel options that were found to work."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc

from payments_client.pb.payments.v1 import payments_pb2

DEFAULT_TARGET = "127.0.0.1:50051"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})
MESSAGE_BYTES = 4 * 1024 * 1024
Token = str | Callable[[], str]

SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [
                *(
                    {"service": "payments.v1.Payments", "method": method.name}
                    for method in payments_pb2.DESCRIPTOR.services_by_name["Payments"].methods
                    if not method.server_streaming
                ),
                {"service": "payments.v1.Operations"},
            ],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 3,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}
"""UNAVAILABLE alone: each call that writes is idempotent, by its request_id or by what it says. Streams resume anew."""

CHANNEL_OPTIONS: tuple[tuple[str, str | int], ...] = (
    ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
    ("grpc.keepalive_time_ms", 15_000),  # the service permits one ping in 10 s
    ("grpc.keepalive_timeout_ms", 5_000),
    (
        "grpc.http2.ping_timeout_ms",
        5_000,
    ),  # without it a dead server is noticed after 70 s: the one above is not heeded
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
)


@dataclass(frozen=True, slots=True)
class Connection:
    """Where to call and as whom; opens no socket itself."""

    target: str
    """host:port, or a gRPC name such as dns:///payments.internal:50051."""
    token: Token
    credentials: grpc.ChannelCredentials | None
    """None: plain text."""

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Give what each call carries; a token that is a function is asked anew, so that it may rotate."""
        token = self.token() if callable(self.token) else self.token
        return (("authorization", f"Bearer {token}"),) if token else ()


def make_connection(
    target: str = "",
    *,
    token: Token = "",
    tls: bool | None = None,
    root_certificates: bytes | Path | None = None,
    client_certificate: tuple[bytes, bytes] | None = None,
) -> Connection:
    """Make one; empty, the target and the token are those of PAYMENTS_TARGET and PAYMENTS_TOKEN.

    TLS is used except to this machine itself; `tls=False` says aloud that a mesh encrypts.
    The client certificate is a key and a chain, in PEM.
    """
    target = target or os.environ.get("PAYMENTS_TARGET", "") or DEFAULT_TARGET
    token = token or os.environ.get("PAYMENTS_TOKEN", "")
    if tls is None:
        tls = bool(root_certificates or client_certificate) or not _is_loopback(target)
    if not tls:
        return Connection(target, token, None)
    roots = root_certificates.read_bytes() if isinstance(root_certificates, Path) else root_certificates
    key, chain = client_certificate or (None, None)
    return Connection(target, token, grpc.ssl_channel_credentials(roots, key, chain))


def _is_loopback(target: str) -> bool:
    address = target.rpartition("/")[2]
    return target.startswith("unix:") or address.rpartition(":")[0] in LOOPBACK
