"""Stripe's API of what payments leave behind: payment intents, charges, subscriptions, invoices; reading only."""

from starlette.routing import Route

from stripe_sandbox.api_gate import ApiGate, Call
from stripe_sandbox.expansion import expanded
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.ledger import Condition
from stripe_sandbox.object_pages import list_page, retrieve


def payment_routes(gate: ApiGate) -> list[Route]:
    """Serve them."""
    return [
        gate.route("GET", "/v1/payment_intents", "payment_intent_list", _list_intents),
        gate.route("GET", "/v1/payment_intents/{id}", "payment_intent_retrieve", retrieve("payment_intent")),
        gate.route("GET", "/v1/charges/{id}", "charge_retrieve", retrieve("charge")),
        gate.route("GET", "/v1/subscriptions/{id}", "subscription_retrieve", retrieve("subscription")),
        gate.route("GET", "/v1/invoices/{id}", "invoice_retrieve", retrieve("invoice")),
    ]


def _list_intents(call: Call) -> JsonObject:
    conditions: list[Condition] = []
    if "customer" in call.parameters:
        conditions.append(("json_extract(body, '$.customer') = ?", call.parameters["customer"]))
    page = list_page(call, "payment_intent", "/v1/payment_intents", conditions)
    return {**page, "data": [expanded(call, intent, "data.") for intent in page["data"]]}
