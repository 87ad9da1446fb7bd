"""A connected account has its own objects, keys and events; the platform's endpoint hears of all of them."""

import aiohttp
import pytest
import stripe

from stripe_sandbox.sandbox_server import Sandbox

from .sandbox_driver import KEY, Controls, course
from .webhook_receiver import WebhookReceiver

_SCHOOL: stripe.RequestOptions = {"stripe_account": "acct_school"}


async def test_a_connected_accounts_checkout_is_nobody_elses(client: stripe.StripeClient) -> None:
    ours = await client.v1.checkout.sessions.create_async(course())
    theirs = await client.v1.checkout.sessions.create_async(course(), _SCHOOL)
    assert (await client.v1.checkout.sessions.retrieve_async(theirs.id, {}, _SCHOOL)).id
    for session, options in ((theirs, {}), (ours, _SCHOOL), (theirs, {"stripe_account": "acct_other"})):
        with pytest.raises(stripe.InvalidRequestError, match="No such"):
            await client.v1.checkout.sessions.retrieve_async(session.id, {}, options)  # type: ignore[arg-type]
    listed = await client.v1.checkout.sessions.list_async({}, _SCHOOL)
    assert [session.id for session in listed.data] == [theirs.id]


async def test_events_of_a_connected_account_name_it(
    client: stripe.StripeClient, controls: Controls, receiver: WebhookReceiver
) -> None:
    theirs = await client.v1.checkout.sessions.create_async(course(), _SCHOOL)
    await controls.move(theirs.id, "pay")
    await receiver.until_types("checkout.session.completed")
    assert {event["account"] for event in receiver.events} == {"acct_school"}
    assert (await client.v1.events.list_async()).data == []
    listed = await client.v1.events.list_async({}, _SCHOOL)
    assert {event.account for event in listed.data} == {"acct_school"}


async def test_an_idempotency_key_belongs_to_one_account(client: stripe.StripeClient) -> None:
    ours = await client.v1.checkout.sessions.create_async(course(), {"idempotency_key": "k"})
    theirs = await client.v1.checkout.sessions.create_async(
        course(), {"idempotency_key": "k", "stripe_account": "acct_school"}
    )
    assert ours.id != theirs.id


async def test_a_connected_accounts_checkout_expires_and_is_paid_on_its_page(
    client: stripe.StripeClient, controls: Controls, receiver: WebhookReceiver, http: aiohttp.ClientSession
) -> None:
    late = await client.v1.checkout.sessions.create_async(course(), _SCHOOL)
    await controls.call("POST", "clock", {"advance_seconds": 24 * 3600 + 1})
    await receiver.until_types("checkout.session.expired")
    assert receiver.events[0]["data"]["object"]["id"] == late.id
    paid = await client.v1.checkout.sessions.create_async(course(), _SCHOOL)
    async with http.post(str(paid.url), data={"action": "pay"}, allow_redirects=False) as reply:
        assert reply.headers["Location"].endswith(paid.id)
    await receiver.until_types("checkout.session.completed")


async def test_an_account_that_cannot_be_is_refused(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "Stripe-Account": "the school"}
    async with http.get(sandbox.url + "/v1/events", headers=headers) as reply:
        assert reply.status == 403
        assert (await reply.json())["error"]["code"] == "account_invalid"


async def test_an_endpoint_hears_of_connected_accounts_only_where_it_asks(
    client: stripe.StripeClient, controls: Controls, receiver: WebhookReceiver
) -> None:
    both: list[str] = []
    for connect in (True, False):
        params = {"url": receiver.url, "enabled_events": ["*"], "connect": connect}
        both.append((await client.v1.webhook_endpoints.create_async(params)).id)  # type: ignore[arg-type]
    theirs = await client.v1.checkout.sessions.create_async(course(), _SCHOOL)
    await controls.move(theirs.id, "expire")
    rows = (await controls.call("GET", "deliveries"))["data"]
    assert {row["endpoint"] for row in rows} == {"we_configured", both[0]}
