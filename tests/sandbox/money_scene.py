"""Payments that have come in, for what happens to money afterwards."""

from typing import Any

import stripe

from .sandbox_driver import Controls, course, membership

DAY = 24 * 3600
TAG = {"order_id": "ord_1"}


async def paid_course(client: stripe.StripeClient, controls: Controls, card: str = "") -> dict[str, Any]:
    """Sell a course of 49 dollars, and give its payment intent."""
    session = await client.v1.checkout.sessions.create_async(course())
    body = {"payment_method": card} if card else None
    paid = await controls.call("POST", f"sessions/{session.id}/pay", body)
    return (await client.v1.payment_intents.retrieve_async(paid["payment_intent"])).to_dict()


async def subscribed(client: stripe.StripeClient, controls: Controls, **changes: object) -> dict[str, Any]:
    """Sell a membership of 15 euros a month, and give its subscription."""
    session = await client.v1.checkout.sessions.create_async({**membership(), **changes})  # type: ignore[arg-type]
    paid = await controls.move(session.id, "pay")
    return (await client.v1.subscriptions.retrieve_async(paid["subscription"])).to_dict()


async def charge_of(client: stripe.StripeClient, intent: dict[str, Any]) -> dict[str, Any]:
    """Read a payment's charge."""
    return (await client.v1.charges.retrieve_async(intent["latest_charge"])).to_dict()


class Telling:
    """Gives the events that were made since it was last asked, oldest first."""

    def __init__(self, client: stripe.StripeClient) -> None:
        self._client = client
        self._known: set[str] = set()

    async def events(self) -> list[dict[str, Any]]:
        """Give them whole."""
        listed = await self._client.v1.events.list_async({"limit": 100})
        fresh = [event.to_dict() for event in reversed(listed.data) if event.id not in self._known]
        self._known |= {event["id"] for event in fresh}
        return fresh

    async def types(self) -> list[str]:
        """Name them."""
        return [event["type"] for event in await self.events()]
