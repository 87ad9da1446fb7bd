"""Decides what a process runs and when it ends; what it is made of is put together in assembly.py."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from payments_service.assembly import Assembly
from payments_service.errors import ConfigurationError
from payments_service.process_parts import Role, Running
from payments_service.rpc.tls_files import read_tls_files
from payments_service.settings import Settings
from payments_service.stripe_gateway.metadata import BUILT_IN_TYPES

_log = structlog.get_logger(__name__)


async def run_service(settings: Settings, roles: frozenset[Role], announce: Callable[[Running], None]) -> None:
    """Run until SIGTERM or SIGINT, then close in order; a second signal does not wait."""
    starting, stopping = asyncio.current_task(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        _log.info("process.stopping", signal=number.name)
        stopping.set()
        if starting is not None:
            starting.cancel()
        loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    try:
        async with open_service(settings, roles) as running:
            starting = None
            announce(running)
            await stopping.wait()
    except asyncio.CancelledError:
        if not stopping.is_set():
            raise
    _log.info("process.stopped")


@asynccontextmanager
async def open_service(settings: Settings, roles: frozenset[Role]) -> AsyncIterator[Running]:
    """Open what the roles need and tell where it listens; raises ConfigurationError with what to change."""
    require_possible(settings, roles)
    async with AsyncExitStack() as stack:
        assembly = Assembly(stack, settings, roles)
        if roles == {Role.SANDBOX}:
            yield await assembly.sandbox_alone()
        else:
            yield await assembly.service()


def require_possible(settings: Settings, roles: frozenset[Role]) -> None:
    """Raise ConfigurationError where these roles cannot run with these settings."""
    together = {Role.GRPC, Role.BRIDGE, Role.WORKER}
    if roles == {Role.SANDBOX}:
        return
    _require_right_names(settings)
    if Role.GRPC in roles:
        read_tls_files(settings.tls_cert, settings.tls_key)
    if not settings.stripe_key and Role.SANDBOX not in roles:
        raise ConfigurationError(
            "PAYMENTS_STRIPE_API_KEY is empty: set a key (sk_... or rk_...), or use `payments up`."
        )
    if settings.stripe_key and Role.BRIDGE in roles and not settings.webhook_secrets:
        raise ConfigurationError(
            "PAYMENTS_STRIPE_WEBHOOK_SECRETS is empty, so no webhook could be proved: set the endpoint's secret "
            "(whsec_...), or the one that `stripe listen` prints."
        )
    if together <= roles:
        return
    if settings.embedded:
        raise ConfigurationError(
            "PAYMENTS_DATABASE_URL is a SQLite file, which one process owns alone: use `payments up`, or set it to "
            "PostgreSQL (postgresql+asyncpg://...) to run this command."
        )
    if settings.broker_url.startswith("memory:"):
        raise ConfigurationError(
            "PAYMENTS_BROKER_URL is memory://, which reaches one process only: use `payments up`, or set it to "
            "RabbitMQ (amqp://...) or Redis (redis://...) to run this command."
        )


def _require_right_names(settings: Settings) -> None:
    """Refuse what would be without effect: whoever has set it expects one."""
    built_in = sorted(BUILT_IN_TYPES.intersection(settings.claimed_types))
    if built_in:
        raise ConfigurationError(
            f"PAYMENTS_CLAIMED_TYPES names {', '.join(built_in)}, which this service claims anyway: list only types of "
            "custom purchases."
        )
    if settings.stripe_api_base and not settings.stripe_key:
        raise ConfigurationError(
            f"PAYMENTS_STRIPE_API_BASE is {settings.stripe_api_base}, and PAYMENTS_STRIPE_API_KEY is empty: set a key "
            "for it (the sandbox takes any sk_test_...), or leave the base out; `payments up` starts its own sandbox."
        )
