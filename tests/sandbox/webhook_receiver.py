"""A real HTTP endpoint that verifies webhooks with Stripe's own check, and answers as the test wants."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import stripe
from aiohttp import web

SECRET = "whsec_for_tests"
WAIT_SECONDS = 15


class WebhookReceiver:
    """Keeps what came and is verified; `answer` decides the status of each."""

    def __init__(self) -> None:
        self.url = ""
        self.shop = ""
        self.events: list[dict[str, Any]] = []
        self.headers: list[str] = []
        self.verifies = True
        self.answer: Callable[[dict[str, Any]], int] = lambda event: 200
        self.gate = asyncio.Event()
        self.gate.set()
        self._changed = asyncio.Condition()

    async def receive(self, request: web.Request) -> web.Response:
        """Verify, keep, answer; while the gate is closed the answer waits."""
        body = await request.text()
        header = request.headers["Stripe-Signature"]
        if self.verifies:
            stripe.WebhookSignature.verify_header(body, header, SECRET, 300)
        event = json.loads(body)
        async with self._changed:
            self.events.append(event)
            self.headers.append(header)
            self._changed.notify_all()
        await self.gate.wait()
        return web.Response(status=self.answer(event))

    async def until(self, condition: Callable[[list[dict[str, Any]]], bool]) -> None:
        """Wait for what has come to fulfil a condition."""
        async with asyncio.timeout(WAIT_SECONDS), self._changed:
            await self._changed.wait_for(lambda: condition(self.events))

    async def until_types(self, *types: str) -> None:
        """Wait for events of these types."""
        await self.until(lambda events: set(types) <= {event["type"] for event in events})

    def types(self) -> list[str]:
        """Name what has come, in the order of arrival."""
        return [event["type"] for event in self.events]


async def _shop_page(request: web.Request) -> web.Response:
    return web.Response(text="the shop")


@asynccontextmanager
async def open_receiver() -> AsyncIterator[WebhookReceiver]:
    """Listen on a free port."""
    receiver = WebhookReceiver()
    app = web.Application()
    app.router.add_post("/webhooks", receiver.receive)
    app.router.add_get("/shop/{page}", _shop_page)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    receiver.url, receiver.shop = f"{origin}/webhooks", f"{origin}/shop"
    try:
        yield receiver
    finally:
        receiver.gate.set()
        await runner.cleanup()
