"""Stripe's API of what payments leave behind: payment intents and charges; reading only."""

from starlette.routing import Route

from stripe_sandbox.api_gate import ApiGate, Call
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.object_pages import fields_are, list_expanded, retrieve


def payment_routes(gate: ApiGate) -> list[Route]:
    """Serve them."""
    return [
        gate.route("GET", "/v1/payment_intents", "payment_intent_list", _list_intents),
        gate.route("GET", "/v1/payment_intents/{id}", "payment_intent_retrieve", retrieve("payment_intent")),
        gate.route("GET", "/v1/charges", "charge_list", _list_charges),
        gate.route("GET", "/v1/charges/{id}", "charge_retrieve", retrieve("charge")),
    ]


def _list_intents(call: Call) -> JsonObject:
    return list_expanded(call, "payment_intent", "/v1/payment_intents", fields_are(call, "customer"))


def _list_charges(call: Call) -> JsonObject:
    return list_expanded(call, "charge", "/v1/charges", fields_are(call, "customer", "payment_intent"))
