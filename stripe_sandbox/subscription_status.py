"""Lets a subscription's status follow its newest invoice: paid makes it active, a failed payment past due."""

from stripe_sandbox.change import Change
from stripe_sandbox.invoice_object import subscription_id_of
from stripe_sandbox.json_types import JsonObject

KIND = "subscription"
_AFTER_PAYMENT = {"past_due": "active", "unpaid": "active", "incomplete": "active"}
_AFTER_FAILURE = {"active": "past_due"}


def follow_invoice(change: Change, invoice: JsonObject) -> None:
    """Move the subscription of an invoice that was paid, or whose payment failed."""
    subscription = change.account.ledger.find(KIND, subscription_id_of(invoice))
    if subscription is None or subscription["latest_invoice"] != invoice["id"]:
        return
    moves = _AFTER_PAYMENT if invoice["status"] == "paid" else _AFTER_FAILURE
    status = moves.get(subscription["status"])
    if status is not None:
        subscription["status"] = status
        change.keep(subscription, "customer.subscription.updated")
