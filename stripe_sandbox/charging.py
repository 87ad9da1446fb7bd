"""Charges a payment intent once: the money comes, or the bank declines; what a test card does besides happens too."""

from enum import Enum, auto

from stripe_sandbox.api_error import StripeApiError
from stripe_sandbox.card_behavior import behavior_of
from stripe_sandbox.change import Change
from stripe_sandbox.dispute_flow import open_dispute
from stripe_sandbox.dispute_object import Claim
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.payment_objects import make_charge


class Outcome(Enum):
    """What comes of charging an invoice."""

    PAID = auto()
    DECLINED = auto()
    ACTION_REQUIRED = auto()


DECLINED = {
    "advice_code": "try_again_later",
    "code": "card_declined",
    "decline_code": "generic_decline",
    "doc_url": "https://stripe.com/docs/error-codes/card-declined",
    "message": "Your card was declined.",
    "type": "card_error",
}


def declined_error() -> StripeApiError:
    """Say that the card was declined, and that all that came of it is kept."""
    return StripeApiError(
        str(DECLINED["message"]),
        status=402,
        kind="card_error",
        code=DECLINED["code"],
        details={"decline_code": DECLINED["decline_code"], "advice_code": DECLINED["advice_code"]},
        keeps_work=True,
    )


def would_decline(change: Change, method_id: str) -> bool:
    """Tell whether a payment method is a test card that is always declined."""
    return behavior_of(change.account.ledger, method_id).declines


def await_buyer(change: Change, intent: JsonObject, method_id: str) -> None:
    """Let the bank ask for the buyer: nothing is charged, and nothing refused yet."""
    intent |= {
        "status": "requires_action",
        "payment_method": method_id or intent["payment_method"],
        "next_action": {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}},
    }
    change.keep(intent, "payment_intent.requires_action")


def action_error() -> StripeApiError:
    """Say that the buyer has to confirm, and that all that came of it is kept."""
    return StripeApiError(
        "Payment for this invoice requires additional user action before it can be completed successfully.",
        status=402,
        kind="card_error",
        code="invoice_payment_intent_requires_action",
        keeps_work=True,
    )


def outcome_of(change: Change, method_id: str) -> Outcome:
    """Tell what a payment method does where its buyer is not there."""
    behavior = behavior_of(change.account.ledger, method_id)
    if behavior.needs_action:
        return Outcome.ACTION_REQUIRED
    return Outcome.DECLINED if behavior.declines else Outcome.PAID


def take_money(change: Change, intent: JsonObject, buyer: JsonObject | None, method_id: str = "") -> JsonObject:
    """Charge the whole amount at once, and give the charge."""
    intent["payment_method"] = method_id or intent["payment_method"]
    charge = make_charge(intent, buyer, "succeeded", change.now)
    intent |= {
        "status": "succeeded",
        "amount_received": intent["amount"],
        "last_payment_error": None,
        "next_action": None,
        "latest_charge": charge["id"],
        "payment_method": charge["payment_method"],
    }
    change.keep(charge, "charge.succeeded")
    dispute = behavior_of(change.account.ledger, charge["payment_method"]).dispute
    if dispute:
        open_dispute(change, charge, Claim(charge["amount"], inquiry=dispute == "inquiry"))
    change.keep(intent, "payment_intent.succeeded")
    return charge


def decline(change: Change, intent: JsonObject, buyer: JsonObject | None, method_id: str = "") -> None:
    """Let the bank refuse: the intent may be tried again by another card."""
    charge = make_charge(intent | {"payment_method": method_id or None}, buyer, "failed", change.now)
    charge |= {"failure_code": "card_declined", "failure_message": DECLINED["message"]}
    intent |= {
        "status": "requires_payment_method",
        "next_action": None,
        "last_payment_error": {**DECLINED, "charge": charge["id"]},
        "latest_charge": charge["id"],
    }
    change.keep(charge, "charge.failed")
    change.keep(intent, "payment_intent.payment_failed")
