"""Stripe's API of charges; reading only."""

from starlette.routing import Route

from stripe_sandbox.api_gate import ApiGate, Call
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.object_pages import fields_are, list_expanded, retrieve


def charge_routes(gate: ApiGate) -> list[Route]:
    """Serve them."""
    return [
        gate.route("GET", "/v1/charges", "charge_list", list_charges),
        gate.route("GET", "/v1/charges/{id}", "charge_retrieve", retrieve("charge")),
    ]


def list_charges(call: Call) -> JsonObject:
    """List them, newest first."""
    return list_expanded(call, "charge", "/v1/charges", fields_are(call, "customer", "payment_intent"))
