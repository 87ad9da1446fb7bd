"""Stripe's API of invoices and of the payments of invoices: reading only."""

from starlette.routing import Route

from stripe_sandbox.api_gate import ApiGate, Call
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.ledger import Condition
from stripe_sandbox.object_pages import fields_are, list_expanded, retrieve
from stripe_sandbox.played_parameters import INVOICE_LIST, INVOICE_PAYMENT_LIST, check_played

_SUBSCRIPTION = "json_extract(body, '$.parent.subscription_details.subscription') = ?"


def invoice_routes(gate: ApiGate) -> list[Route]:
    """Serve them."""
    return [
        gate.route("GET", "/v1/invoices", "invoice_list", list_invoices),
        gate.route("GET", "/v1/invoices/{id}", "invoice_retrieve", retrieve("invoice")),
        gate.route("GET", "/v1/invoice_payments", "invoice_payment_list", list_invoice_payments),
        gate.route("GET", "/v1/invoice_payments/{id}", "invoice_payment_retrieve", retrieve("invoice_payment")),
    ]


def list_invoices(call: Call) -> JsonObject:
    """List them, newest first."""
    check_played(call.parameters, INVOICE_LIST)
    conditions = fields_are(call, "customer", "status")
    if "subscription" in call.parameters:
        conditions.append((_SUBSCRIPTION, call.parameters["subscription"]))
    return list_expanded(call, "invoice", "/v1/invoices", conditions)


def list_invoice_payments(call: Call) -> JsonObject:
    """List how invoices were paid, or are to be."""
    check_played(call.parameters, INVOICE_PAYMENT_LIST)
    conditions: list[Condition] = fields_are(call, "invoice", "status")
    payment = call.parameters.get("payment") or {}
    if "payment_intent" in payment:
        conditions.append(("json_extract(body, '$.payment.payment_intent') = ?", payment["payment_intent"]))
    return list_expanded(call, "invoice_payment", "/v1/invoice_payments", conditions)
