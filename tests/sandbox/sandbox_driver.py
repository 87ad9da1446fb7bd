"""Drives a sandbox in a test: Stripe's client for its API, plain HTTP for its controls."""

from typing import Any, cast

import aiohttp
import stripe
from stripe.params.checkout import SessionCreateParams

KEY = "sk_test_123456789"
stripe.enable_telemetry = False


def course(**changes: object) -> SessionCreateParams:
    """Give the parameters of a checkout of one course."""
    item = {"price_data": {"currency": "usd", "unit_amount": 4900, "product_data": {"name": "Course"}}, "quantity": 1}
    base: dict[str, Any] = {
        "mode": "payment",
        "line_items": [item],
        "success_url": "http://shop.test/thanks?id={CHECKOUT_SESSION_ID}",
        "cancel_url": "http://shop.test/basket",
        "metadata": {"order_id": "ord_1"},
        "payment_intent_data": {"metadata": {"order_id": "ord_1"}},
    }
    return cast("SessionCreateParams", base | changes)


def membership() -> SessionCreateParams:
    """Give the parameters of a monthly subscription."""
    price = {
        "currency": "eur",
        "unit_amount": 1500,
        "product_data": {"name": "Membership"},
        "recurring": {"interval": "month"},
    }
    params = course(
        mode="subscription",
        line_items=[{"price_data": price, "quantity": 1}],
        subscription_data={"metadata": {"order_id": "ord_2"}},
    )
    del params["payment_intent_data"]
    return params


class Controls:
    """Calls `/_sandbox/...`."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def call(self, method: str, path: str, body: object = None, status: int = 200) -> dict[str, Any]:
        """Make one call and check its status."""
        async with self.session.request(method, f"{self.url}/_sandbox/{path}", json=body) as reply:
            text = await reply.text()
            assert reply.status == status, text
            return cast("dict[str, Any]", await reply.json())

    async def move(self, session_id: str, name: str, status: int = 200) -> dict[str, Any]:
        """Do to a session what a buyer or a bank would."""
        return await self.call("POST", f"sessions/{session_id}/{name}", status=status)

    async def faults(self, **faults: object) -> None:
        """Put faults."""
        await self.call("PUT", "faults", faults)
