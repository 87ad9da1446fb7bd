"""Answers as Stripe does to a key that lacks some rights, with a clock of its own."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from aiohttp import web

FORBIDDEN = {
    "error": {
        "type": "invalid_request_error",
        "message": "The provided key 'rk_test_*********************geheim' does not have the required permissions.",
    }
}


@asynccontextmanager
async def restricted_stripe(forbidden: Collection[str], lead: timedelta = timedelta()) -> AsyncIterator[str]:
    """Serve empty lists, and refuse the forbidden paths; gives the base address."""

    async def answer(request: web.Request) -> web.Response:
        date = {"Date": format_datetime(datetime.now(UTC) + lead, usegmt=True)}
        account = request.headers.get("Stripe-Account", "")
        if request.path in forbidden or account in forbidden:
            return web.json_response(FORBIDDEN, status=403, headers=date)
        if request.path == "/v1/account":
            body = {"id": "acct_1", "object": "account", "charges_enabled": False}
        else:
            body = {"object": "list", "data": [], "has_more": False, "url": request.path}
        return web.json_response(body, headers=date)

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
