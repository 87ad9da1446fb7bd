"""Listens for the bridge inside the running event loop, and takes no signals: they are for the process around it.

Stopping: not ready, no new connections, what is under way is finished within bounds, closed.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from payments_service.errors import ConfigurationError
from payments_service.inbox.receiver import Clock, Receiver
from payments_service.inbox.waker import Waker
from webhook_bridge.application import BridgeApplication
from webhook_bridge.health_endpoints import ReadinessEndpoint, answer_alive
from webhook_bridge.http_connection import REQUEST_SECONDS, HttpConnection
from webhook_bridge.open_connections import OpenConnections
from webhook_bridge.return_pages import Orders, ReturnPages
from webhook_bridge.webhook_endpoint import WebhookEndpoint

STOP_SECONDS = 8
"""More than a request's rest and the receiver's patience need, so that nothing under way is ever broken off."""
BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class BridgeConfig:
    """Where the bridge listens, and by which secrets Stripe proves itself."""

    host: str
    port: int
    webhook_secrets: Sequence[str] = field(repr=False)
    request_seconds: float = REQUEST_SECONDS


@dataclass(frozen=True, slots=True)
class Bridge:
    """A bridge that is listening."""

    url: str
    readiness: ReadinessEndpoint

    def drain(self) -> None:
        """Say from now on that this process is not ready, and go on answering."""
        self.readiness.draining = True


@asynccontextmanager
async def open_bridge(
    config: BridgeConfig, *, receiver: Receiver, orders: Orders, waker: Waker, clock: Clock
) -> AsyncIterator[Bridge]:
    """Listen until the context ends; port 0 takes a free one, and `url` names it."""
    readiness = ReadinessEndpoint(receiver)
    pages = ReturnPages(orders)
    application = BridgeApplication(
        WebhookEndpoint(receiver, waker, config.webhook_secrets, clock),
        {
            "/healthz": answer_alive,
            "/readyz": readiness,
            "/checkout/return": pages.show_order,
            "/checkout/cancelled": pages.show_cancelled,
        },
    )
    listener = _bind(config)
    bridge = Bridge(_url(config.host, listener.getsockname()[1]), readiness)
    async with _serving(application, listener, config.request_seconds):
        try:
            yield bridge
        finally:
            bridge.drain()
    await readiness.close()


@asynccontextmanager
async def _serving(
    application: BridgeApplication, listener: socket.socket, request_seconds: float
) -> AsyncIterator[None]:
    peers = OpenConnections()
    server = await asyncio.get_running_loop().create_server(
        lambda: HttpConnection(application, peers, request_seconds), sock=listener, backlog=BACKLOG
    )
    try:
        yield
    finally:
        server.close()
        await peers.finish(STOP_SECONDS)
        await server.wait_closed()


def _bind(config: BridgeConfig) -> socket.socket:
    host = config.host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named TCP, or asyncio leaves Nagle's algorithm on and each answer waits 40 ms for an acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, config.port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"The webhook bridge cannot listen on {config.host}:{config.port}: {error.strerror}. Stop what listens "
            "there, or set PAYMENTS_BRIDGE_ADDRESS to another address (port 0 takes a free one)."
        ) from error
    listener.setblocking(False)
    return listener


def _url(host: str, port: int) -> str:
    name = host.strip("[]")
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
