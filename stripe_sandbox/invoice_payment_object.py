"""How an invoice is paid, as Stripe writes it apart from the invoice: the invoice itself does not name its payment."""

from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.object_ids import new_object_id


def make_invoice_payment(invoice: JsonObject, intent: JsonObject, now: int) -> JsonObject:
    """Build one that is open."""
    return {
        "id": new_object_id("inpay"),
        "object": "invoice_payment",
        "amount_paid": None,
        "amount_requested": invoice["amount_due"],
        "created": now,
        "currency": invoice["currency"],
        "invoice": invoice["id"],
        "is_default": True,
        "livemode": False,
        "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
        "status": "open",
        "status_transitions": {"canceled_at": None, "paid_at": None},
    }
