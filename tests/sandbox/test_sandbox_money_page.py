"""The front page shows what became of money, and its buttons do what the dashboard, the banks and time do."""

import re

import aiohttp
import pytest
import stripe

from stripe_sandbox.sandbox_server import Sandbox

from .money_scene import charge_of, paid_course, subscribed
from .sandbox_driver import Controls


class FrontPage:
    """Reads the page and presses its buttons, as a browser would."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url

    async def text(self) -> str:
        """Read it, its white space made single."""
        async with self._http.get(self._url) as reply:
            return re.sub(r"\s+", " ", await reply.text())

    async def press(self, kind: str, object_id: str, action: str) -> str:
        """Press a button that is there, and give the page after it."""
        assert f'action="/money/{kind}/{object_id}"' in await self.text()
        return await self.send(kind, object_id, action)

    async def send(self, kind: str, object_id: str, action: str) -> str:
        """Press a button whether it is there or not."""
        path = f"{self._url}/money/{kind}/{object_id}"
        async with self._http.post(path, data={"action": action}, allow_redirects=False) as reply:
            assert reply.status == 303
        return await self.text()


@pytest.fixture
def front(http: aiohttp.ClientSession, sandbox: Sandbox) -> FrontPage:
    return FrontPage(http, sandbox.url)


async def test_a_payment_is_given_back_and_disputed_by_buttons(
    client: stripe.StripeClient, controls: Controls, front: FrontPage
) -> None:
    assert "Payments</h2>" not in await front.text()
    intent = await paid_course(client, controls)
    await front.press("charge", intent["latest_charge"], "refund")
    (refund,) = (await client.v1.refunds.list_async()).data
    assert refund.amount == 4900
    await front.press("refund", refund.id, "fail")
    await front.press("charge", intent["latest_charge"], "dispute")
    (dispute,) = (await client.v1.disputes.list_async()).data
    text = await front.press("dispute", dispute.id, "win")
    assert ">won</span>" in text
    assert (await charge_of(client, intent))["amount_refunded"] == 0


async def test_a_subscription_lives_by_buttons(
    client: stripe.StripeClient, controls: Controls, front: FrontPage
) -> None:
    begun = (await subscribed(client, controls))["id"]
    assert ">past due</span>" in await front.press("subscription", begun, "fail")
    behind = await client.v1.subscriptions.retrieve_async(begun)
    assert ">active</span>" in await front.press("invoice", str(behind.latest_invoice), "pay")
    assert "collection paused" in await front.press("subscription", begun, "pause")
    assert "collection paused" not in await front.press("subscription", begun, "resume")
    assert ">canceled</span>" in await front.press("subscription", begun, "cancel")


@pytest.mark.parametrize(
    ("kind", "object_id", "action"),
    [("charge", "ch_none", "refund"), ("charge", "ch_none", "explode"), ("nothing", "x", "refund")],
)
async def test_a_button_that_is_none_does_nothing(front: FrontPage, kind: str, object_id: str, action: str) -> None:
    assert "SANDBOX" in await front.send(kind, object_id, action)
