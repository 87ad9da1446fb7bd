"""The payment method as Stripe writes it: a card or a bank account that may be charged again."""

from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.object_ids import new_object_id

NOBODY: JsonObject = {
    "address": dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state")),
    "email": None,
    "name": None,
    "phone": None,
    "tax_id": None,
}


def make_payment_method(kind: str, billing: JsonObject, customer: str | None, now: int) -> JsonObject:
    """Build one; its card is always the same, whatever it does."""
    return {
        "id": new_object_id("pm"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {**NOBODY, **billing, "address": {**NOBODY["address"], **(billing.get("address") or {})}},
        "created": now,
        "customer": customer,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "type": kind,
        kind: _card() if kind == "card" else _debit(),
    }


def _card() -> JsonObject:
    return {
        "brand": "visa",
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": "US",
        "display_brand": "visa",
        "exp_month": 8,
        "exp_year": 2034,
        "fingerprint": "SandboxSandbox42",
        "funding": "credit",
        "generated_from": None,
        "last4": "4242",
        "networks": {"available": ["visa"], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def _debit() -> JsonObject:
    return {
        "bank_code": "19043", "branch_code": "", "country": "AT", "fingerprint": "SandboxDebit3000",
        "generated_from": {"charge": None, "setup_attempt": None}, "last4": "3000",
    }  # fmt: skip
