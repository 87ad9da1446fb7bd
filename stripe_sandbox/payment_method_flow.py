"""Finds the payment method that a call names: one that was made, or a new one of Stripe's test cards."""

from stripe_sandbox.account import SandboxAccount
from stripe_sandbox.api_error import no_such
from stripe_sandbox.card_behavior import behavior_named, remember_behavior
from stripe_sandbox.change import Change
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.payment_method_object import make_payment_method

KIND = "payment_method"


def payment_method(account: SandboxAccount, named: str, param: str = "payment_method") -> JsonObject:
    """Give it; a test card by its name (`pm_card_visa`) becomes a payment method of its own, as at Stripe."""
    found = account.ledger.find(KIND, named)
    if found is not None:
        return found
    if behavior_named(named) is None:
        raise no_such("PaymentMethod", named, param, 400)
    return keep_test_card(account, named, {})


def keep_test_card(account: SandboxAccount, name: str, billing: JsonObject) -> JsonObject:
    """Make a payment method of a test card."""
    method = make_payment_method("card", billing, None, account.clock.seconds())
    account.ledger.put(method)
    remember_behavior(account.ledger, method["id"], name)
    return method


def attach(change: Change, method: JsonObject, customer: str) -> JsonObject:
    """Give one to a customer."""
    method["customer"] = customer
    change.keep(method, "payment_method.attached")
    return method
