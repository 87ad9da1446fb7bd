"""Idempotency keys: the same call gets the same answer, another one is refused, two at a time conflict."""

import asyncio

import pytest
import stripe

from stripe_sandbox.idempotency_keys import KEPT_SECONDS
from stripe_sandbox.sandbox_server import Sandbox

from .sandbox_driver import Controls, course


async def _create(client: stripe.StripeClient, key: str, **changes: object) -> stripe.checkout.Session:
    return await client.v1.checkout.sessions.create_async(course(**changes), {"idempotency_key": key})


async def test_the_same_call_is_replayed(client: stripe.StripeClient) -> None:
    first, second = await _create(client, "k"), await _create(client, "k")
    assert first.id == second.id
    assert first.last_response is not None
    assert second.last_response is not None
    assert "Idempotent-Replayed" not in first.last_response.headers
    assert second.last_response.headers["Idempotent-Replayed"] == "true"


async def test_other_parameters_under_the_same_key_are_refused(client: stripe.StripeClient) -> None:
    await _create(client, "k")
    with pytest.raises(stripe.IdempotencyError, match="same parameters") as refused:
        await _create(client, "k", client_reference_id="other")
    assert refused.value.http_status == 400


async def test_a_key_at_work_conflicts(client: stripe.StripeClient, controls: Controls) -> None:
    await controls.faults(api={"latency_seconds": 0.5, "when": "before"})
    answers = await asyncio.gather(*(_create(client, "k") for _ in range(2)), return_exceptions=True)
    (refused,) = [answer for answer in answers if isinstance(answer, stripe.APIError)]
    assert refused.http_status == 409
    assert isinstance(refused.json_body, dict)
    assert refused.json_body["error"]["code"] == "idempotency_key_in_use"


async def test_a_refusal_of_the_parameters_is_not_remembered(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        await _create(client, "k", mode="subscription")
    assert (await _create(client, "k")).status == "open"


async def test_a_server_error_after_the_work_is_remembered(client: stripe.StripeClient, controls: Controls) -> None:
    await controls.faults(api={"status": 500, "when": "after"})
    with pytest.raises(stripe.APIError):
        await _create(client, "k")
    await controls.call("DELETE", "faults")
    with pytest.raises(stripe.APIError):
        await _create(client, "k")
    listed = await client.v1.checkout.sessions.list_async()
    assert len(listed.data) == 1


async def test_a_server_error_before_the_work_is_not_remembered(
    client: stripe.StripeClient, controls: Controls
) -> None:
    await controls.faults(api={"status": 500, "when": "before"})
    with pytest.raises(stripe.APIError):
        await _create(client, "k")
    await controls.call("DELETE", "faults")
    assert (await _create(client, "k")).status == "open"
    assert len((await client.v1.checkout.sessions.list_async()).data) == 1


async def test_a_rate_limit_is_not_remembered_and_says_why(client: stripe.StripeClient, controls: Controls) -> None:
    await controls.faults(api={"status": 429})
    with pytest.raises(stripe.RateLimitError) as limited:
        await _create(client, "k")
    assert limited.value.headers is not None
    assert limited.value.headers["Stripe-Rate-Limited-Reason"] == "endpoint-rate"
    await controls.call("DELETE", "faults")
    assert (await _create(client, "k")).status == "open"


async def test_a_key_is_forgotten_after_a_day_of_the_sandboxs_clock(
    client: stripe.StripeClient, controls: Controls, sandbox: Sandbox
) -> None:
    first = await _create(client, "k")
    await controls.call("POST", "clock", {"advance_seconds": KEPT_SECONDS + 1})
    assert (await _create(client, "k", client_reference_id="other")).id != first.id
