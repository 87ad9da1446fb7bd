"""A buyer of one course: begins a checkout, does at Stripe what buyers do, and comes back to the bridge's pages."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from integration.checkout.checkout_shop import Shop, course_request, open_shop
from payments_service.contract.pb.payments.v1.order_pb2 import Order
from payments_service.inbox.receiver import open_receiver
from webhook_bridge.bridge_server import BridgeConfig, open_bridge

from .bridge_driver import SECRETS, NotedWaker, now


class Buyer:
    """Follows links in a browser without scripts."""

    def __init__(self, http: aiohttp.ClientSession, url: str, shop: Shop) -> None:
        self.http = http
        self.url = url
        self.shop = shop

    async def order(self) -> Order:
        """Begin a checkout of one course."""
        pages = {
            "success_url": self.url + "/checkout/return?session_id={CHECKOUT_SESSION_ID}",
            "cancel_url": self.url + "/checkout/cancelled",
        }
        request = course_request(user_id="user_jane", customer_email="jane@example.com", **pages)
        return await self.shop.create(request)

    async def look(self, session_id: str, look: int = 0) -> str:
        """Open the return page of a session."""
        status, text, _ = await self.open(f"/checkout/return?session_id={session_id}&look={look}")
        assert status == 200
        return text

    async def open(self, path: str) -> tuple[int, str, Mapping[str, str]]:
        """Open any page."""
        async with self.http.get(self.url + path) as reply:
            return reply.status, await reply.text(), reply.headers

    async def does(self, order: Order, move: str) -> None:
        """Do at Stripe what a buyer or a bank can do; no webhook tells of it."""
        await self.shop.control("POST", f"sessions/{order.checkout_session_id}/{move}")


@asynccontextmanager
async def open_buyer(folder: Path) -> AsyncIterator[Buyer]:
    """Open a shop in the folder, with a bridge whose pages show its orders and to which no webhook comes."""
    async with (
        open_shop(folder) as shop,
        open_receiver(shop.database, now) as receiver,
        aiohttp.ClientSession() as http,
        open_bridge(
            BridgeConfig("127.0.0.1", 0, SECRETS), receiver=receiver, orders=shop.lookup, waker=NotedWaker(), clock=now
        ) as bridge,
    ):
        yield Buyer(http, bridge.url, shop)
