"""Stripe's API by which a subscription begins without Checkout: its first invoice is charged at once."""

from starlette.routing import Route

from stripe_sandbox.api_error import StripeApiError, invalid_parameter, missing_parameter, no_such
from stripe_sandbox.api_gate import ApiGate, Call
from stripe_sandbox.change import Change
from stripe_sandbox.charging import outcome_of
from stripe_sandbox.expansion import expanded
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.payment_method_flow import payment_method
from stripe_sandbox.played_parameters import SUBSCRIPTION_CREATE, check_played
from stripe_sandbox.session_rules import check_metadata
from stripe_sandbox.subscription_flow import begin_subscription
from stripe_sandbox.subscription_objects import make_subscription
from stripe_sandbox.subscription_status import KIND

_NOTHING_TO_CHARGE = (
    "This customer has no attached payment source or default payment method. Please consider adding a default payment "
    "method. For more information, visit "
    "https://stripe.com/docs/billing/subscriptions/payment-methods-setting#payment-method-priority."
)


def subscription_creation_routes(gate: ApiGate) -> list[Route]:
    """Serve them."""
    return [gate.route("POST", "/v1/subscriptions", "subscription_create", create_subscription)]


def create_subscription(call: Call) -> JsonObject:
    """Begin one; a card that is declined leaves it incomplete."""
    parameters, ledger = call.parameters, call.account.ledger
    check_played(parameters, SUBSCRIPTION_CREATE)
    check_metadata(parameters.get("metadata") or {}, "metadata")
    if "customer" not in parameters:
        raise missing_parameter("customer")
    customer = ledger.get("customer", parameters["customer"], "customer", 400)
    prices = _prices(call)
    method_id = _method(call, customer)
    change = Change(call.account, call.cause)
    terms = {"currency": prices[0][0]["currency"], "customer": customer["id"], "payment_method": method_id}
    subscription = make_subscription(terms, prices, parameters, change.now)
    begin_subscription(change, subscription, [], outcome_of(change, method_id))
    return expanded(call, ledger.get(KIND, subscription["id"]))


def _prices(call: Call) -> list[tuple[JsonObject, int]]:
    items = call.parameters.get("items") or []
    if not items:
        raise missing_parameter("items")
    return [_price(call, item, f"items[{index}][price]") for index, item in enumerate(items)]


def _price(call: Call, item: JsonObject, place: str) -> tuple[JsonObject, int]:
    if "price" not in item:
        raise missing_parameter(place)
    price = call.account.ledger.find("price", item["price"])
    if price is None:
        raise no_such("price", item["price"], place, 400)
    if price["recurring"] is None:
        raise invalid_parameter(place, "The price specified is set to `type=one_time`; a recurring one is needed.")
    return price, int(item.get("quantity", 1))


def _method(call: Call, customer: JsonObject) -> str:
    named = call.parameters.get("default_payment_method") or customer["invoice_settings"]["default_payment_method"]
    if not named:
        raise StripeApiError(_NOTHING_TO_CHARGE, code="resource_missing")
    return str(payment_method(call.account, named, "default_payment_method")["id"])
