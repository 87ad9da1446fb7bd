"""The refund as Stripe writes it: it names its charge and payment, and carries its own metadata only."""

from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.object_ids import new_object_id
from stripe_sandbox.session_rules import kept_metadata

_EMPTY = ("customer_account", "receipt_number", "source_transfer_reversal", "transfer_reversal")


def make_refund(charge: JsonObject, amount: int, status: str, data: JsonObject, now: int) -> JsonObject:
    """Build a refund of a part or all of a charge; nothing of the charge's metadata is copied, as in Stripe."""
    return {
        "id": new_object_id("re" if charge["payment_method_details"]["type"] == "card" else "pyr"),
        "object": "refund",
        **dict.fromkeys(_EMPTY),
        "amount": amount,
        "balance_transaction": new_object_id("txn"),
        "charge": charge["id"],
        "created": now,
        "currency": charge["currency"],
        "customer": charge["customer"],
        "destination_details": _destination(charge["payment_method_details"]["type"]),
        "metadata": kept_metadata(data),
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        "reason": data.get("reason"),
        "status": status,
        **({"pending_reason": "processing"} if status == "pending" else {}),
    }


def _destination(method: str) -> JsonObject:
    if method != "card":
        return {"type": "eu_bank_transfer", "eu_bank_transfer": {"reference": None, "reference_status": "pending"}}
    reference = {"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"}
    return {"card": reference, "type": "card"}
