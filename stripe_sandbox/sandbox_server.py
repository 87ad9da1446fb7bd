"""Serves the sandbox inside the running event loop; it takes no signals and is gone within two seconds."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import uvicorn

from stripe_sandbox.account import SandboxAccount
from stripe_sandbox.configuration import SandboxConfig, SandboxRefusedError
from stripe_sandbox.sandbox_application import create_app
from stripe_sandbox.webhook_sender import WebhookSender
from stripe_sandbox.webhook_targets import CONFIGURED


@dataclass(frozen=True)
class Sandbox:
    """A sandbox that is listening."""

    url: str
    account: SandboxAccount
    sender: WebhookSender

    def deliver_to(self, url: str) -> None:
        """Send webhooks there from now on; those that wait for an address, or failed at another, are sent at once."""
        self.account.targets.move(url)
        with self.account.ledger.transaction():
            self.account.queue.hasten(CONFIGURED, self.account.clock.now())
        self.account.deliveries_due.set()


class _EmbeddedServer(uvicorn.Server):
    """Leaves signals to the process that it is part of."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def open_sandbox(config: SandboxConfig) -> AsyncIterator[Sandbox]:
    """Listen until the context ends; port 0 takes a free one, and `url` names it."""
    listener = _bind(config)
    url = _url(config.host, listener.getsockname()[1])
    try:
        app = create_app(config)
    except BaseException:
        listener.close()
        raise
    app.state.account.base_url = url
    server = _EmbeddedServer(_uvicorn_config(app))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await _started(server, serving)
        yield Sandbox(url, app.state.account, app.state.sender)
    finally:
        server.should_exit = True
        await serving
        listener.close()


def _uvicorn_config(app: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        access_log=False,
        log_config=None,
        lifespan="on",
        timeout_graceful_shutdown=1,
        server_header=False,
        date_header=False,  # Stripe's API tells the sandbox's time, not the host's
        proxy_headers=False,
        ws="none",
    )


def _bind(config: SandboxConfig) -> socket.socket:
    host = config.host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named TCP, or asyncio leaves Nagle's algorithm on and each answer waits 40 ms for an acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, config.port))
    except OSError as error:
        listener.close()
        raise SandboxRefusedError(
            f"The sandbox Stripe cannot listen on {config.host}:{config.port}: {error.strerror}. Stop what listens "
            "there, or set PAYMENTS_SANDBOX_ADDRESS to another port (0 takes a free one)."
        ) from error
    listener.setblocking(False)
    return listener


def _url(host: str, port: int) -> str:
    name = host.strip("[]")
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


async def _started(server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
    while not server.started:
        if serving.done():
            await serving
            raise SandboxRefusedError("The sandbox Stripe did not start; its log says why.")
        await asyncio.sleep(0.002)
