"""One movement of the account's balance as Stripe writes it; the sandbox keeps no balance, but objects hold these."""

from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.object_ids import new_object_id


def dispute_entry(dispute: JsonObject, amount: int, fee: int, now: int) -> JsonObject:
    """Write what a dispute took from the balance (below nought) or gave back."""
    word, category = ("withdrawal", "dispute") if amount < 0 else ("reversal", "dispute_reversal")
    fee_details = [
        {
            "amount": fee, "application": None, "currency": dispute["currency"], "description": "Dispute fee",
            "type": "stripe_fee",
        },
    ]  # fmt: skip
    return {
        "id": new_object_id("txn"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": now,
        "balance_type": "payments",
        "created": now,
        "currency": dispute["currency"],
        "description": f"Chargeback {word} for {dispute['charge']}",
        "exchange_rate": None,
        "fee": fee,
        "fee_details": fee_details if fee else [],
        "net": amount - fee,
        "reporting_category": category,
        "source": dispute["id"],
        "status": "available",
        "type": "adjustment",
    }
