"""Stripe's API of customers: make, read, change what they pay by."""

from starlette.routing import Route

from stripe_sandbox.api_gate import ApiGate, Call
from stripe_sandbox.change import Change
from stripe_sandbox.expansion import expanded
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.object_pages import retrieve
from stripe_sandbox.payment_method_flow import attach, payment_method
from stripe_sandbox.played_parameters import CUSTOMER_UPDATE, check_played
from stripe_sandbox.session_rules import check_metadata, merged_metadata
from stripe_sandbox.subscription_objects import make_customer

KIND = "customer"
_TEXTS = ("description", "email", "name", "phone")


def customer_routes(gate: ApiGate) -> list[Route]:
    """Serve them."""
    path = "/v1/customers"
    return [
        gate.route("POST", path, "customer_create", create_customer),
        gate.route("GET", path + "/{id}", "customer_retrieve", retrieve(KIND)),
        gate.route("POST", path + "/{id}", "customer_update", update_customer),
    ]


def create_customer(call: Call) -> JsonObject:
    """Make one, with a payment method where one is named."""
    check_metadata(call.parameters.get("metadata") or {}, "metadata")
    change = Change(call.account, call.cause)
    customer = make_customer(call.parameters.get("email"), call.parameters, change.now)
    named = call.parameters.get("payment_method")
    method = payment_method(call.account, named) if named else None
    _set_default(call, customer, {named: method["id"]} if named and method else {})
    change.keep(customer, "customer.created")
    if method is not None:
        attach(change, method, customer["id"])
    return expanded(call, customer)


def update_customer(call: Call) -> JsonObject:
    """Change one."""
    check_played(call.parameters, CUSTOMER_UPDATE)
    customer = call.account.ledger.get(KIND, call.object_id)
    customer |= {name: call.parameters[name] or None for name in _TEXTS if name in call.parameters}
    customer["metadata"] = merged_metadata(customer["metadata"], call.parameters.get("metadata"))
    _set_default(call, customer, {})
    Change(call.account, call.cause).keep(customer, "customer.updated")
    return expanded(call, customer)


def _set_default(call: Call, customer: JsonObject, made: dict[str, str]) -> None:
    """Name what invoices are paid by; a test card that this call has made a method of is that one."""
    named = (call.parameters.get("invoice_settings") or {}).get("default_payment_method")
    if named:
        method_id = made.get(named) or payment_method(call.account, named)["id"]
        customer["invoice_settings"]["default_payment_method"] = method_id
