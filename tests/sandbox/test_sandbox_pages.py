"""The overview and whatever is not there, read as plain HTML: each page says SANDBOX."""

import aiohttp
import pytest
import stripe

from stripe_sandbox.sandbox_server import Sandbox

from .sandbox_driver import Controls, course
from .webhook_receiver import WebhookReceiver


async def _text(http: aiohttp.ClientSession, url: str, status: int = 200) -> str:
    async with http.get(url) as reply:
        text = await reply.text()
        assert reply.status == status, text
        return text


async def test_the_overview_shows_sessions_events_and_what_became_of_each_delivery(
    sandbox: Sandbox,
    http: aiohttp.ClientSession,
    controls: Controls,
    client: stripe.StripeClient,
    receiver: WebhookReceiver,
) -> None:
    receiver.answer = lambda event: 500
    session = await client.v1.checkout.sessions.create_async(course(client_reference_id="ord_42"))
    await controls.move(session.id, "expire")
    await receiver.until_types("checkout.session.expired")
    text = ""
    while "500 at attempt" not in text:
        text = await _text(http, sandbox.url)
    for seen in ("Course", "ord_42", "$49.00", "checkout.session.expired", receiver.url, "we_configured"):
        assert seen in text


async def test_the_overview_turns_its_pages(sandbox: Sandbox, http: aiohttp.ClientSession, controls: Controls) -> None:
    for number in range(30):
        await controls.call("POST", "events", {"type": f"a.b{number:02}", "object": {}})
    first, second = await _text(http, sandbox.url), await _text(http, sandbox.url + "/?events=2")
    assert "a.b29" in first
    assert "a.b04" not in first
    assert "1 to 25 of 30" in first
    assert "a.b04" in second
    for odd in ("0", "-1", "x", "99999999999", "%C2%B2"):
        await _text(http, f"{sandbox.url}/?events={odd}")


async def test_an_event_is_sent_again_from_the_overview(
    sandbox: Sandbox, http: aiohttp.ClientSession, controls: Controls, receiver: WebhookReceiver
) -> None:
    event = await controls.call("POST", "events", {"type": "a.b", "object": {}})
    await receiver.until(lambda events: len(events) == 1)
    await (await http.post(f"{sandbox.url}/events/{event['id']}", data={"action": "resend"})).release()
    await receiver.until(lambda events: len(events) == 2)
    await (await http.post(f"{sandbox.url}/events/evt_none", data={"action": "resend"})).release()


@pytest.mark.parametrize("path", ["/nothing", "/pay/cs_test_none", "/pay/"])
async def test_a_page_that_is_not_there_still_says_sandbox(
    sandbox: Sandbox, http: aiohttp.ClientSession, path: str
) -> None:
    assert "SANDBOX" in await _text(http, sandbox.url + path, 404)


@pytest.mark.parametrize(("method", "path"), [("POST", "nothing"), ("GET", "sessions/a/pay"), ("DELETE", "clock")])
async def test_a_control_that_is_not_there_says_so_in_json(controls: Controls, method: str, path: str) -> None:
    refused = await controls.call(method, path, status=404)
    assert f"{method} /_sandbox/{path}" in refused["error"]["message"]


@pytest.mark.parametrize(
    "path",
    ["payment_intents/pi_1/refund", "payment_intents/pi_1/dispute", "disputes/dp_1/close", "subscriptions/s/renew"],
)
async def test_a_control_names_the_object_that_it_does_not_find(controls: Controls, path: str) -> None:
    body = {"status": "won"} if path.endswith("close") else {}
    refused = await controls.call("POST", path, body, status=404)
    assert path.split("/")[1] in refused["error"]["message"]


@pytest.mark.parametrize("body", ["[]", "{", '"x"', '{"advance_seconds": "1"}', '{"advance_seconds": -1}'])
async def test_a_control_says_what_its_body_lacks(sandbox: Sandbox, http: aiohttp.ClientSession, body: str) -> None:
    async with http.post(f"{sandbox.url}/_sandbox/clock", data=body) as reply:
        assert reply.status == 400
        assert (await reply.json())["error"]["message"]
