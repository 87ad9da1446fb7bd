"""Stripe's API of payment methods: test cards and debits, made, read, attached to customers and detached."""

from starlette.routing import Route

from stripe_sandbox.api_error import missing_parameter, no_such
from stripe_sandbox.api_gate import ApiGate, Call
from stripe_sandbox.card_behavior import behavior_named, remember_behavior
from stripe_sandbox.change import Change
from stripe_sandbox.expansion import expanded
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.object_pages import retrieve
from stripe_sandbox.payment_method_flow import KIND, attach, keep_test_card, payment_method
from stripe_sandbox.payment_method_object import make_payment_method
from stripe_sandbox.played_parameters import PAYMENT_METHOD_CREATE, check_played


def payment_method_routes(gate: ApiGate) -> list[Route]:
    """Serve them."""
    path = "/v1/payment_methods"
    return [
        gate.route("POST", path, "payment_method_create", create_method),
        gate.route("GET", path + "/{id}", "payment_method_retrieve", retrieve(KIND)),
        gate.route("POST", path + "/{id}/attach", "payment_method_attach", attach_method),
        gate.route("POST", path + "/{id}/detach", "payment_method_detach", detach_method),
    ]


def create_method(call: Call) -> JsonObject:
    """Make one of a test card's token, or of a test IBAN; raw card numbers are not taken."""
    parameters = call.parameters
    check_played(parameters, PAYMENT_METHOD_CREATE)
    billing = parameters.get("billing_details") or {}
    if parameters.get("type") == "sepa_debit":
        iban = (parameters.get("sepa_debit") or {}).get("iban")
        if not iban:
            raise missing_parameter("sepa_debit[iban]")
        method = make_payment_method("sepa_debit", billing, None, call.account.clock.seconds())
        call.account.ledger.put(method)
        remember_behavior(call.account.ledger, method["id"], iban)
        return expanded(call, method)
    token = (parameters.get("card") or {}).get("token")
    if not token:
        raise missing_parameter("card[token]")
    if behavior_named(token) is None:
        raise no_such("token", token, "card[token]", 400)
    return expanded(call, keep_test_card(call.account, token, billing))


def attach_method(call: Call) -> JsonObject:
    """Give one to a customer."""
    customer = call.parameters["customer"]
    call.account.ledger.get("customer", customer, "customer", 400)
    method = payment_method(call.account, call.object_id)
    return expanded(call, attach(Change(call.account, call.cause), method, customer))


def detach_method(call: Call) -> JsonObject:
    """Take one away from its customer."""
    method = call.account.ledger.get(KIND, call.object_id)
    method["customer"] = None
    Change(call.account, call.cause).keep(method, "payment_method.detached")
    return expanded(call, method)
