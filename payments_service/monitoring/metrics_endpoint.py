"""Serves GET /metrics on the process's loop; it knows nothing of what it serves, and nothing else is served here."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from aiohttp import web
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from payments_service.errors import ConfigurationError
from payments_service.settings import LOOPBACK_HOSTS, split_address

STOP_SECONDS = 1.0
Text = Callable[[], Awaitable[bytes]]


@asynccontextmanager
async def open_metrics_endpoint(address: str, text: Text) -> AsyncIterator[str]:
    """Listen until the context ends, port 0 on a free one; gives the URL. Raises ConfigurationError."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=await text(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    application = web.Application()
    application.router.add_get("/metrics", answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=STOP_SECONDS)
    await runner.setup()
    try:
        yield await _listen(runner, address)
    finally:
        await runner.cleanup()


def metrics_notice(url: str) -> str:
    """Say where; they name no buyer and no secret, but whoever is let in should be one's own monitoring."""
    is_open = url and urlsplit(url).hostname not in LOOPBACK_HOSTS
    return f"{url} (open to others: anybody who reaches it may read)" if is_open else url


async def _listen(runner: web.AppRunner, address: str) -> str:
    host, port = split_address(address)
    try:
        await web.TCPSite(runner, host.strip("[]"), port).start()
    except OSError as error:
        raise ConfigurationError(
            f"PAYMENTS_METRICS_ADDRESS: cannot listen on {address} ({error.strerror}). Each process needs one of its "
            "own: name another address of this machine (port 0 takes a free one)."
        ) from error
    return f"http://{host}:{runner.addresses[0][1]}/metrics"
