"""Stripe's API of payment intents: those of Checkout to be read, and such as are made and confirmed by the API."""

from decimal import Decimal

from starlette.routing import Route

from stripe_sandbox.api_error import invalid_parameter, missing_parameter, no_such
from stripe_sandbox.api_gate import ApiGate, Call
from stripe_sandbox.catalog import check_amount, checked_currency
from stripe_sandbox.change import Change
from stripe_sandbox.charging import decline, declined_error, take_money, would_decline
from stripe_sandbox.expansion import expanded
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.object_pages import fields_are, list_expanded, retrieve
from stripe_sandbox.payment_method_flow import payment_method
from stripe_sandbox.payment_objects import make_payment_intent
from stripe_sandbox.played_parameters import PAYMENT_INTENT_CREATE, check_played
from stripe_sandbox.session_rules import check_metadata

KIND = "payment_intent"


def payment_intent_routes(gate: ApiGate) -> list[Route]:
    """Serve them."""
    path = "/v1/payment_intents"
    return [
        gate.route("POST", path, "payment_intent_create", create_intent),
        gate.route("GET", path, "payment_intent_list", list_intents),
        gate.route("GET", path + "/{id}", "payment_intent_retrieve", retrieve(KIND)),
    ]


def list_intents(call: Call) -> JsonObject:
    """List them, newest first."""
    return list_expanded(call, KIND, "/v1/payment_intents", fields_are(call, "customer"))


def create_intent(call: Call) -> JsonObject:
    """Make one, and charge it where it is confirmed at once; cards only."""
    parameters = call.parameters
    check_played(parameters, PAYMENT_INTENT_CREATE)
    check_metadata(parameters.get("metadata") or {}, "metadata")
    terms = {"amount": _amount(parameters), "currency": parameters["currency"].lower()}
    customer = parameters.get("customer")
    if customer is not None and call.account.ledger.find("customer", customer) is None:
        raise no_such("customer", customer, "customer", 400)
    change = Change(call.account, call.cause)
    intent = make_payment_intent({**terms, "customer": customer}, parameters, "card", change.now)
    change.keep(intent, "payment_intent.created")
    if "payment_method" in parameters:
        intent |= {"payment_method": _card(call, parameters["payment_method"]), "status": "requires_confirmation"}
        call.account.ledger.put(intent)
    if parameters.get("confirm"):
        _confirm(change, intent)
    return expanded(call, intent)


def _amount(parameters: JsonObject) -> int:
    currency = checked_currency(parameters["currency"], "")
    amount = int(parameters["amount"])
    if amount < 1:
        raise invalid_parameter("amount", "This value must be greater than or equal to 1.", "parameter_invalid_integer")
    check_amount(Decimal(amount), currency, "")
    return amount


def _card(call: Call, named: str) -> str:
    method = payment_method(call.account, named)
    if method["type"] != "card":
        raise invalid_parameter("payment_method", "The sandbox confirms payment intents by cards only.")
    return str(method["id"])


def _confirm(change: Change, intent: JsonObject) -> None:
    method_id = intent["payment_method"]
    if method_id is None:
        raise missing_parameter("payment_method")
    if would_decline(change, method_id):
        decline(change, intent, None, method_id)
        raise declined_error()
    take_money(change, intent, None, method_id)
