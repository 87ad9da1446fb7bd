"""Stripe's API of what payments leave behind: payment intents, charges, subscriptions, invoices; reading only."""

from starlette.routing import Route

from stripe_sandbox.api_gate import ApiGate, Call, Operation
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.ledger import Condition
from stripe_sandbox.object_pages import list_page


def payment_routes(gate: ApiGate) -> list[Route]:
    """Serve them."""
    return [
        gate.route("GET", "/v1/payment_intents", "payment_intent_list", _list_intents),
        gate.route("GET", "/v1/payment_intents/{id}", "payment_intent_retrieve", _retrieve_intent),
        gate.route("GET", "/v1/charges/{id}", "charge_retrieve", _retrieve("charge")),
        gate.route("GET", "/v1/subscriptions/{id}", "subscription_retrieve", _retrieve("subscription")),
        gate.route("GET", "/v1/invoices/{id}", "invoice_retrieve", _retrieve("invoice")),
    ]


def _retrieve(kind: str) -> Operation:
    return lambda call: call.account.ledger.get(kind, call.object_id)


def _retrieve_intent(call: Call) -> JsonObject:
    intent = call.account.ledger.get("payment_intent", call.object_id)
    if "latest_charge" in call.parameters.get("expand", []) and intent["latest_charge"]:
        intent["latest_charge"] = call.account.ledger.get("charge", intent["latest_charge"])
    return intent


def _list_intents(call: Call) -> JsonObject:
    conditions: list[Condition] = []
    if "customer" in call.parameters:
        conditions.append(("json_extract(body, '$.customer') = ?", call.parameters["customer"]))
    return list_page(call, "payment_intent", "/v1/payment_intents", conditions)
