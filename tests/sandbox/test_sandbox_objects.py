"""What the sandbox answers and emits fits Stripe's own schemas, and its version is the SDK's."""

import json
from pathlib import Path
from typing import Any

import pytest
import stripe
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from stripe_sandbox.configuration import API_VERSION
from stripe_sandbox.parameter_types import sdk_api_version

from .sandbox_driver import Controls, course, membership

_SCHEMAS = json.loads((Path(__file__).parent / "data" / "stripe-schemas.json").read_text())


def faults_of(body: dict[str, Any]) -> list[str]:
    """Say where an object misses the schema of its kind."""
    validator = Draft202012Validator({**_SCHEMAS, "$ref": f"#/$defs/{body['object']}"})
    # The client makes Decimals of decimal strings: back to what was on the wire.
    wire = json.loads(json.dumps(body, default=str))
    return [f"{body['object']} {error.json_path}: {error.message[:200]}" for error in validator.iter_errors(wire)]


async def _everything(client: stripe.StripeClient) -> list[dict[str, Any]]:
    """Give all events, and what they are about."""
    events = [event.to_dict() for event in (await client.v1.events.list_async({"limit": 100})).data]
    return events + [event["data"]["object"] for event in events]


@pytest.mark.parametrize("moves", [["pay"], ["pay_later", "settle"], ["pay_later", "fail"], ["decline"], ["expire"]])
async def test_every_object_of_a_payment_fits_stripes_schemas(
    client: stripe.StripeClient, controls: Controls, moves: list[str]
) -> None:
    params = course(customer_creation="always", client_reference_id="ref", customer_email="a@example.com")
    session = await client.v1.checkout.sessions.create_async(params)
    assert faults_of(session.to_dict()) == []
    for move in moves:
        assert faults_of(await controls.move(session.id, move)) == []
    bodies = await _everything(client)
    assert bodies
    assert [fault for body in bodies for fault in faults_of(body)] == []


async def test_every_object_of_a_subscription_fits_stripes_schemas(
    client: stripe.StripeClient, controls: Controls
) -> None:
    session = await client.v1.checkout.sessions.create_async(membership())
    await controls.move(session.id, "pay")
    bodies = await _everything(client)
    assert {body["object"] for body in bodies} >= {"subscription", "invoice", "customer", "checkout.session"}
    assert [fault for body in bodies for fault in faults_of(body)] == []


async def test_line_items_prices_and_products_fit_stripes_schemas(client: stripe.StripeClient) -> None:
    product = await client.v1.products.create_async({"name": "Book", "description": "Printed"})
    price = await client.v1.prices.create_async({"product": product.id, "currency": "usd", "unit_amount": 1200})
    customer = await client.v1.customers.create_async({"email": "a@example.com", "metadata": {"k": "v"}})
    items = [{"price": price.id, "quantity": 3}]
    session = await client.v1.checkout.sessions.create_async(course(line_items=items, customer=customer.id))
    listed = await client.v1.checkout.sessions.line_items.list_async(session.id)
    assert [item.amount_total for item in listed.data] == [3600]
    made: list[stripe.StripeObject] = [product, price, customer, *listed.data]
    bodies = [body.to_dict() for body in made]
    assert [fault for body in bodies for fault in faults_of(body)] == []


def test_the_schemas_catch_a_wrong_object() -> None:
    assert faults_of({"object": "checkout.session", "status": "closed"})


def test_the_sandbox_speaks_the_version_of_the_sdk() -> None:
    assert sdk_api_version() == API_VERSION


async def test_an_account_names_itself_and_a_connected_one_too(client: stripe.StripeClient) -> None:
    own = await client.v1.accounts.retrieve_current_async()
    connected = await client.v1.accounts.retrieve_current_async(options={"stripe_account": "acct_1"})

    assert (own.id, connected.id) == ("acct_sandbox", "acct_1")
