"""What becomes of money that is given back: made, succeeded, failed or canceled, and the charge that it is of.

Every function runs inside the caller's transaction. What is pending counts as given back until it fails.
"""

from stripe_sandbox.account import SandboxAccount
from stripe_sandbox.api_error import StripeApiError, invalid_parameter, no_such
from stripe_sandbox.appointments import appoint
from stripe_sandbox.card_behavior import behavior_of
from stripe_sandbox.change import Change, WrongStateError
from stripe_sandbox.currencies import format_amount
from stripe_sandbox.dispute_flow import refund_barred
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.object_ids import new_object_id
from stripe_sandbox.refund_object import make_refund

KIND = "refund"
SETTLED = ("succeeded", "failed", "canceled")
_UPDATES = ("refund.updated", "charge.refund.updated")
# Stripe's test cards settle their refunds by themselves some time later.
_SETTLED_AFTER_SECONDS = 30


def charge_to_refund(account: SandboxAccount, intent_id: str) -> JsonObject:
    """Give the charge that has paid a payment intent, or refuse in Stripe's words."""
    intent = account.ledger.find("payment_intent", intent_id)
    if intent is None:
        raise no_such("payment_intent", intent_id, "payment_intent")
    charge = account.ledger.find("charge", intent["latest_charge"])
    if charge is None or charge["status"] != "succeeded":
        raise StripeApiError(f"This PaymentIntent ({intent_id}) does not have a successful charge to refund.")
    return charge


def refund_charge(change: Change, charge: JsonObject, data: JsonObject, status: str = "") -> JsonObject:
    """Give back a part, or what is left; without a status it is the one that the payment method begins with."""
    amount = _checked_amount(change.account, charge, data.get("amount"))
    behavior = behavior_of(change.account.ledger, charge["payment_method"])
    debit = charge["payment_method_details"]["type"] != "card"
    refund = make_refund(charge, amount, status or ("pending" if debit else behavior.refund), data, change.now)
    change.keep(refund, "refund.created")
    _give_back(change, charge, amount, "charge.refunded")
    if not status and behavior.refund_becomes:
        what = f"refund_{behavior.refund_becomes}"
        appoint(change.account.ledger, what, refund["id"], change.now + _SETTLED_AFTER_SECONDS)
    return refund


def settle_refund(account: SandboxAccount, refund_id: str, status: str) -> Change:
    """Let a pending refund come to its end, or one that had succeeded fail after all."""
    change, refund = Change(account), account.ledger.get(KIND, refund_id)
    if refund["status"] != "pending" and (refund["status"], status) != ("succeeded", "failed"):
        raise WrongStateError(
            f"Refund {refund_id} is {refund['status']}: a pending one can succeed, fail or be canceled, and a "
            "succeeded one can still fail; nothing else can happen to a refund."
        )
    refund.pop("pending_reason", None)
    refund["status"] = status
    if status == "succeeded":
        change.keep(refund, *_UPDATES)
        return change
    returned: JsonObject = {"failure_balance_transaction": new_object_id("txn")}
    refund |= returned | ({"failure_reason": "unknown"} if status == "failed" else {})
    change.keep(refund, *_UPDATES, *(["refund.failed"] if status == "failed" else []))
    _give_back(change, account.ledger.get("charge", refund["charge"]), -refund["amount"], "charge.updated")
    return change


def settle_if_open(account: SandboxAccount, refund_id: str, status: str) -> None:
    """Settle a refund whose time has come, unless somebody was earlier."""
    refund = account.ledger.get(KIND, refund_id)
    if refund["status"] == "pending" or (refund["status"] == "succeeded" and status == "failed"):
        settle_refund(account, refund_id, status)


def _checked_amount(account: SandboxAccount, charge: JsonObject, wanted: int | None) -> int:
    """Give the amount, or refuse as Stripe does: what was given back already, or is disputed, or is too much."""
    left, currency = charge["amount_captured"] - charge["amount_refunded"], charge["currency"]
    if refund_barred(account, charge):
        message = f"Charge {charge['id']} has been charged back; cannot issue a refund."
        raise StripeApiError(message, code="charge_disputed", executed=True)
    if left <= 0:
        message = f"Charge {charge['id']} has already been refunded."
        raise StripeApiError(message, code="charge_already_refunded", executed=True)
    if wanted is None:
        return int(left)
    if wanted < 1:
        message = "This value must be greater than or equal to 1."
        raise invalid_parameter("amount", message, "parameter_invalid_integer")
    if wanted > left:
        raise StripeApiError(
            f"Refund amount ({format_amount(wanted, currency)}) is greater than unrefunded amount on charge "
            f"({format_amount(left, currency)})",
            param="amount",
            executed=True,
        )
    return wanted


def _give_back(change: Change, charge: JsonObject, amount: int, event_type: str) -> None:
    refunded = charge["amount_refunded"] + amount
    charge |= {"amount_refunded": refunded, "refunded": refunded == charge["amount_captured"]}
    change.keep(charge, event_type)
