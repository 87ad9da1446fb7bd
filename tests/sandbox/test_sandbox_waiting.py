"""Deliveries without an address wait for one, a slow endpoint holds up itself only, and giving up is said."""

import asyncio
import dataclasses
import logging

import aiohttp
import pytest
import stripe

from stripe_sandbox.configuration import SandboxConfig, SandboxRefusedError
from stripe_sandbox.sandbox_server import Sandbox, open_sandbox

from .sandbox_driver import KEY, Controls, course
from .webhook_receiver import WebhookReceiver, open_receiver

FOREIGN = {"type": "invoice.paid", "object": {"id": "in_saas"}}


async def test_what_happens_before_there_is_an_address_is_sent_when_there_is(
    config: SandboxConfig, receiver: WebhookReceiver, http: aiohttp.ClientSession
) -> None:
    async with open_sandbox(dataclasses.replace(config, webhook_url="")) as sandbox:
        controls = Controls(http, sandbox.url)
        event = await controls.call("POST", "events", FOREIGN)
        (row,) = (await controls.call("GET", f"deliveries?event={event['id']}"))["data"]
        assert (row["status"], row["attempts"]) == ("pending", [])
        sandbox.deliver_to(receiver.url)
        await receiver.until_types("invoice.paid")


async def test_a_buyer_does_not_wait_for_an_endpoint_without_an_address(
    config: SandboxConfig, http: aiohttp.ClientSession
) -> None:
    async with open_sandbox(dataclasses.replace(config, webhook_url="")) as sandbox:
        transport = stripe.AIOHTTPClient(session=http)
        client = stripe.StripeClient(KEY, base_addresses={"api": sandbox.url}, http_client=transport)
        session = await client.v1.checkout.sessions.create_async(course())
        async with asyncio.timeout(5):
            await (await http.post(str(session.url), data={"action": "pay"}, allow_redirects=False)).release()


async def test_another_address_is_tried_at_once_though_the_next_attempt_is_hours_away(
    config: SandboxConfig, receiver: WebhookReceiver, http: aiohttp.ClientSession
) -> None:
    closed = dataclasses.replace(config, webhook_url="http://127.0.0.1:9/closed", retry_schedule=(7200.0,))
    async with open_sandbox(closed) as sandbox:
        controls = Controls(http, sandbox.url)
        event = await controls.call("POST", "events", FOREIGN)
        while not (await controls.call("GET", f"deliveries?event={event['id']}"))["data"][0]["attempts"]:
            pass
        sandbox.deliver_to(receiver.url)
        await receiver.until_types("invoice.paid")


async def test_an_address_without_a_secret_is_refused(config: SandboxConfig) -> None:
    async with open_sandbox(dataclasses.replace(config, webhook_url="", webhook_secrets=())) as sandbox:
        with pytest.raises(SandboxRefusedError, match="secret"):
            sandbox.deliver_to("http://127.0.0.1:8080/webhooks/stripe")


async def test_an_endpoint_that_never_answers_holds_up_no_other(
    controls: Controls, client: stripe.StripeClient, receiver: WebhookReceiver
) -> None:
    async with open_receiver() as stuck:
        stuck.gate.clear()
        stuck.verifies = False
        await client.v1.webhook_endpoints.create_async({"url": stuck.url, "enabled_events": ["invoice.paid"]})
        await asyncio.gather(*(controls.call("POST", "events", FOREIGN) for _ in range(100)))
        await receiver.until(lambda events: len(events) == 100)
        await stuck.until(lambda events: len(events) == 64)
        await controls.call("POST", "events", FOREIGN)
        await receiver.until(lambda events: len(events) == 101)
        assert len(stuck.events) == 64


async def test_giving_up_is_logged_and_listed(
    controls: Controls, receiver: WebhookReceiver, caplog: pytest.LogCaptureFixture, client: stripe.StripeClient
) -> None:
    receiver.answer = lambda event: 503
    event = await controls.call("POST", "events", FOREIGN)
    with caplog.at_level(logging.WARNING, "stripe_sandbox"):
        while (await controls.call("GET", f"deliveries?event={event['id']}"))["data"][0]["status"] == "pending":
            await controls.call("POST", "clock", {"advance_seconds": 3600})
    (told,) = [record.getMessage() for record in caplog.records if record.name == "stripe_sandbox.webhook_sender"]
    assert event["id"] in told
    assert "after 4 attempts: 503" in told
    undelivered = await client.v1.events.list_async({"delivery_success": False})
    assert [listed.id for listed in undelivered.data] == [event["id"]]


async def test_what_stripe_forgets_is_forgotten(
    sandbox: Sandbox, controls: Controls, client: stripe.StripeClient, receiver: WebhookReceiver
) -> None:
    session = await client.v1.checkout.sessions.create_async(course(), {"idempotency_key": "k"})
    await controls.move(session.id, "pay")
    await receiver.until_types("checkout.session.completed")
    await controls.call("POST", "clock", {"advance_seconds": 31 * 24 * 3600})
    fresh = await controls.call("POST", "events", FOREIGN)
    rows = sandbox.account.ledger.connection.execute
    while rows("SELECT count(*) FROM objects WHERE kind = 'event'").fetchone() != (1,):
        await controls.call("GET", "clock")
    assert rows("SELECT count(*) FROM idempotency_keys").fetchone() == (0,)
    assert rows("SELECT DISTINCT event FROM deliveries").fetchall() == [(fresh["id"],)]
    assert rows("SELECT count(*) FROM attempts WHERE delivery NOT IN (SELECT number FROM deliveries)").fetchone() == (
        0,
    )
    assert (await client.v1.checkout.sessions.retrieve_async(session.id)).status == "complete"
