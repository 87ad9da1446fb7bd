"""Lists page and filter as Stripe's do: newest first, cursors both ways, each object once."""

import pytest
import stripe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stripe_sandbox.sandbox_server import Sandbox

from .sandbox_driver import Controls, course


async def _sessions(client: stripe.StripeClient, count: int) -> list[str]:
    made = [await client.v1.checkout.sessions.create_async(course()) for _ in range(count)]
    return [session.id for session in made][::-1]


async def test_pages_follow_each_other_and_end(client: stripe.StripeClient) -> None:
    newest_first = await _sessions(client, 7)
    pages, cursor = [], None
    while True:
        params: stripe.params.checkout.SessionListParams = {"limit": 3}
        if cursor:
            params["starting_after"] = cursor
        page = await client.v1.checkout.sessions.list_async(params)
        pages.append([session.id for session in page.data])
        if not page.has_more:
            break
        cursor = pages[-1][-1]
    assert [session for page in pages for session in page] == newest_first
    back = await client.v1.checkout.sessions.list_async({"limit": 2, "ending_before": newest_first[4]})
    assert [session.id for session in back.data] == newest_first[2:4]


@given(limit=st.integers(1, 5))
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_the_clients_own_paging_sees_each_event_once(
    client: stripe.StripeClient, controls: Controls, limit: int
) -> None:
    await controls.call("POST", "events", {"type": "a.b", "object": {}})
    events = await client.v1.events.list_async({"limit": limit})
    ids = [event.id async for event in events.auto_paging_iter()]
    assert len(ids) == len(set(ids)) >= 1


async def test_sessions_are_found_by_what_they_are_about(client: stripe.StripeClient, controls: Controls) -> None:
    other, wanted = await _sessions(client, 2)
    paid = await controls.move(wanted, "pay")
    found = await client.v1.checkout.sessions.list_async({"payment_intent": paid["payment_intent"]})
    assert [session.id for session in found.data] == [wanted]
    still_open = await client.v1.checkout.sessions.list_async({"status": "open"})
    assert [session.id for session in still_open.data] == [other]


async def test_sessions_are_found_by_when_they_were_made(
    client: stripe.StripeClient, controls: Controls, sandbox: Sandbox
) -> None:
    (early,) = await _sessions(client, 1)
    await controls.call("POST", "clock", {"advance_seconds": 100})
    now = sandbox.account.clock.seconds()
    (late,) = await _sessions(client, 1)
    after = await client.v1.checkout.sessions.list_async({"created": {"gte": now}})
    before = await client.v1.checkout.sessions.list_async({"created": {"lt": now}})
    assert ([session.id for session in after.data], [session.id for session in before.data]) == ([late], [early])


async def test_events_are_found_by_type(client: stripe.StripeClient, controls: Controls) -> None:
    for kind in ("charge.refunded", "charge.succeeded", "invoice.paid"):
        await controls.call("POST", "events", {"type": kind, "object": {}})
    stars = await client.v1.events.list_async({"type": "charge.*"})
    several = await client.v1.events.list_async({"types": ["invoice.paid", "charge.refunded"]})
    assert [event.type for event in stars.data] == ["charge.succeeded", "charge.refunded"]
    assert [event.type for event in several.data] == ["invoice.paid", "charge.refunded"]


async def test_a_cursor_or_limit_that_is_none_is_refused(client: stripe.StripeClient) -> None:
    for params in ({"starting_after": "evt_none"}, {"limit": 0}, {"limit": 101}, {"type": "a", "types": ["b"]}):
        with pytest.raises(stripe.InvalidRequestError):
            await client.v1.events.list_async(params)  # type: ignore[arg-type]
