"""Deliveries: signed afresh, tried again, side by side, and faulty in every way that a test asks for."""

import stripe
from aiohttp import ClientSession, web

from stripe_sandbox.sandbox_server import Sandbox

from .sandbox_driver import Controls, course
from .webhook_receiver import WebhookReceiver

FOREIGN = {"type": "invoice.paid", "object": {"id": "in_saas", "metadata": {"plan": "pro"}}}


async def _tried(controls: Controls, event_id: str, times: int) -> None:
    """Wait until so many attempts are written down, so that the next one's time is known."""
    while len((await controls.call("GET", f"deliveries?event={event_id}"))["data"][0]["attempts"]) < times:
        pass


async def _settled(controls: Controls, event_id: str, status: str) -> list[dict[str, object]]:
    """Wait until the attempts of an event are written down."""
    while True:
        rows = (await controls.call("GET", f"deliveries?event={event_id}"))["data"]
        if rows and all(row["status"] == status for row in rows):
            return list(rows)


async def test_an_event_that_has_nothing_to_do_with_us_is_delivered_as_given(
    controls: Controls, receiver: WebhookReceiver
) -> None:
    event = await controls.call("POST", "events", FOREIGN)
    await receiver.until_types("invoice.paid")
    assert receiver.events[0]["data"]["object"] == {"object": "invoice", **FOREIGN["object"]}  # type: ignore[dict-item]
    (row,) = await _settled(controls, event["id"], "succeeded")
    assert row["endpoint"] == "we_configured"


async def test_a_failed_delivery_is_tried_again_on_the_schedule_and_then_given_time(
    controls: Controls, receiver: WebhookReceiver
) -> None:
    receiver.answer = lambda event: 200 if len(receiver.events) > 3 else 302
    event = await controls.call("POST", "events", FOREIGN)
    await _tried(controls, event["id"], 3)
    await controls.call("POST", "clock", {"advance_seconds": 3600})
    (row,) = await _settled(controls, event["id"], "succeeded")
    assert [attempt["status"] for attempt in row["attempts"]] == [302, 302, 302, 200]  # type: ignore[attr-defined]


async def test_tries_are_used_up_in_the_end(
    controls: Controls, receiver: WebhookReceiver, client: stripe.StripeClient
) -> None:
    receiver.answer = lambda event: 500
    event = await controls.call("POST", "events", FOREIGN)
    await _tried(controls, event["id"], 3)
    await controls.call("POST", "clock", {"advance_seconds": 3600})
    await _settled(controls, event["id"], "failed")
    failed = await client.v1.events.list_async({"delivery_success": False})
    assert [listed.id for listed in failed.data] == [event["id"]]
    assert failed.data[0].pending_webhooks == 1


async def test_a_slow_answer_holds_up_no_other_delivery(controls: Controls, receiver: WebhookReceiver) -> None:
    receiver.gate.clear()
    for _ in range(5):
        await controls.call("POST", "events", FOREIGN)
    await receiver.until(lambda events: len(events) == 5)


async def test_an_event_can_be_sent_once_more(controls: Controls, receiver: WebhookReceiver) -> None:
    event = await controls.call("POST", "events", FOREIGN)
    await receiver.until(lambda events: len(events) == 1)
    await controls.call("POST", f"events/{event['id']}/resend")
    await receiver.until(lambda events: len(events) == 2)
    assert {sent["id"] for sent in receiver.events} == {event["id"]}
    await controls.call("POST", "events/evt_none/resend", status=404)


async def test_deliveries_are_duplicated(controls: Controls, receiver: WebhookReceiver) -> None:
    await controls.faults(webhooks={"duplicate": 2})
    await controls.call("POST", "events", FOREIGN)
    await receiver.until(lambda events: len(events) == 3)
    assert len({event["id"] for event in receiver.events}) == 1


async def test_deliveries_are_reordered(
    controls: Controls, receiver: WebhookReceiver, client: stripe.StripeClient
) -> None:
    await controls.faults(webhooks={"reorder": True})
    session = await client.v1.checkout.sessions.create_async(course())
    await controls.move(session.id, "pay")
    await receiver.until(lambda events: len(events) == 4)
    assert receiver.types()[0] == "checkout.session.completed"
    assert receiver.types()[-1] == "payment_intent.created"


async def test_deliveries_are_dropped_and_listed_as_undelivered(
    controls: Controls, receiver: WebhookReceiver, client: stripe.StripeClient
) -> None:
    await controls.faults(webhooks={"drop": 1.0})
    lost = await controls.call("POST", "events", FOREIGN)
    await controls.call("DELETE", "faults")
    sent = await controls.call("POST", "events", FOREIGN)
    await _settled(controls, sent["id"], "succeeded")
    assert [event["id"] for event in receiver.events] == [sent["id"]]
    undelivered = await client.v1.events.list_async({"delivery_success": False})
    assert [event.id for event in undelivered.data] == [lost["id"]]


async def test_deliveries_are_delayed_by_the_sandboxs_clock(controls: Controls, receiver: WebhookReceiver) -> None:
    await controls.faults(webhooks={"delay_seconds": 600})
    event = await controls.call("POST", "events", FOREIGN)
    rows = (await controls.call("GET", f"deliveries?event={event['id']}"))["data"]
    assert rows[0]["attempts"] == []
    await controls.call("POST", "clock", {"advance_seconds": 600})
    await receiver.until_types("invoice.paid")


async def test_unknown_faults_are_refused_by_name(controls: Controls) -> None:
    refused = await controls.call("PUT", "faults", {"webhooks": {"lose": 1}}, status=400)
    assert "lose" in refused["error"]["message"]
    for faults in ({"api": {"status": 418}}, {"api": {"probability": 2}}, {"webhooks": {"drop": "all"}}):
        await controls.call("PUT", "faults", faults, status=400)


async def test_an_endpoint_made_by_the_api_gets_its_own_signature(
    controls: Controls, client: stripe.StripeClient, http: ClientSession
) -> None:
    bodies: list[tuple[str, str]] = []

    async def receive(request: web.Request) -> web.Response:
        bodies.append((await request.text(), request.headers["Stripe-Signature"]))
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    endpoint = await client.v1.webhook_endpoints.create_async({"url": url, "enabled_events": ["invoice.paid"]})
    event = await controls.call("POST", "events", FOREIGN)
    while (await client.v1.events.retrieve_async(event["id"])).pending_webhooks:
        pass
    stripe.WebhookSignature.verify_header(*bodies[0], str(endpoint.secret), 300)
    assert "secret" not in (await client.v1.webhook_endpoints.retrieve_async(endpoint.id)).to_dict()
    await client.v1.webhook_endpoints.delete_async(endpoint.id)
    assert (await client.v1.webhook_endpoints.list_async()).data == []
    await runner.cleanup()


async def test_webhooks_go_where_they_are_sent_from_now_on(
    sandbox: Sandbox, controls: Controls, receiver: WebhookReceiver
) -> None:
    sandbox.deliver_to("http://127.0.0.1:9/closed")
    event = await controls.call("POST", "events", FOREIGN)
    sandbox.deliver_to(receiver.url)
    await receiver.until_types("invoice.paid")
    await _settled(controls, event["id"], "succeeded")
