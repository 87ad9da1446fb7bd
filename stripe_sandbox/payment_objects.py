"""Payment intents and charges as Stripe writes them; an intent's metadata reach its charges, nothing else does."""

from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.object_ids import new_object_id
from stripe_sandbox.session_rules import kept_metadata

# What these hold where the sandbox has nothing to say.
_EMPTY_INTENT = (
    "application", "application_fee_amount", "automatic_payment_methods", "canceled_at", "cancellation_reason",
    "customer_account", "excluded_payment_method_types", "last_payment_error", "latest_charge", "next_action",
    "on_behalf_of", "payment_method", "payment_method_configuration_details", "processing", "review", "source",
    "transfer_data",
)  # fmt: skip
_ECHOED = (
    "description", "receipt_email", "setup_future_usage", "shipping", "statement_descriptor",
    "statement_descriptor_suffix", "transfer_group",
)  # fmt: skip
_EMPTY_CHARGE = (
    "application", "application_fee", "application_fee_amount", "failure_balance_transaction", "failure_code",
    "failure_message", "on_behalf_of", "receipt_number", "receipt_url", "review", "shipping", "source",
    "source_transfer", "statement_descriptor", "statement_descriptor_suffix", "transfer_data", "transfer_group",
)  # fmt: skip


def make_payment_intent(terms: JsonObject, data: JsonObject, method: str, now: int) -> JsonObject:
    """Build an intent before its money has moved; `terms` are amount, currency and customer."""
    intent_id = new_object_id("pi")
    return {
        "id": intent_id,
        "object": "payment_intent",
        **dict.fromkeys(_EMPTY_INTENT),
        **{name: data.get(name) for name in _ECHOED},
        "amount": terms["amount"],
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "capture_method": "automatic_async",
        "client_secret": f"{intent_id}_secret_{new_object_id('x')[2:]}",
        "confirmation_method": "automatic",
        "created": now,
        "currency": terms["currency"],
        "customer": terms["customer"],
        "livemode": False,
        "metadata": kept_metadata(data),
        "payment_method_options": {},
        "payment_method_types": [method],
        "status": "requires_payment_method",
    }


def make_charge(intent: JsonObject, details: JsonObject | None, status: str, now: int) -> JsonObject:
    """Build a charge; the intent's metadata are copied to it once, as Stripe does."""
    paid, method = status == "succeeded", intent["payment_method_types"][0]
    copied = ("amount", "currency", "customer", "description", "receipt_email")
    return {
        "id": new_object_id("ch" if method == "card" else "py"),
        "object": "charge",
        **dict.fromkeys(_EMPTY_CHARGE),
        **{name: intent[name] for name in copied},
        "amount_captured": intent["amount"] if status != "failed" else 0,
        "amount_refunded": 0,
        "balance_transaction": new_object_id("txn") if paid else None,
        "billing_details": _billing(details),
        "calculated_statement_descriptor": "SANDBOX",
        "captured": status != "failed",
        "created": now,
        "disputed": False,
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "outcome": _outcome(status),
        "paid": paid,
        "payment_intent": intent["id"],
        "payment_method": intent["payment_method"] or new_object_id("pm"),
        "payment_method_details": _method_details(method),
        "refunded": False,
        "status": status,
    }


def _billing(details: JsonObject | None) -> JsonObject:
    known = details or {}
    empty = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
    return {
        "address": known.get("address") or empty,
        "email": known.get("email"),
        "name": known.get("name"),
        "phone": None,
        "tax_id": None,
    }


def _outcome(status: str) -> JsonObject:
    accepted = status != "failed"
    return {
        "advice_code": None if accepted else "try_again_later",
        "network_advice_code": None,
        "network_decline_code": None if accepted else "01",
        "network_status": "approved_by_network" if accepted else "declined_by_network",
        "reason": None if accepted else "generic_decline",
        "risk_level": "normal",
        "risk_score": 12,
        "seller_message": "Payment complete." if accepted else "The bank did not return any further details.",
        "type": "authorized" if accepted else "issuer_declined",
    }


def _method_details(method: str) -> JsonObject:
    if method != "card":
        names = ("bank_code", "branch_code", "fingerprint", "mandate")
        return {"type": method, method: {**dict.fromkeys(names), "country": "DE", "last4": "3000"}}
    return {"type": "card", "card": _card()}


def _card() -> JsonObject:
    checks = {"address_line1_check": None, "address_postal_code_check": "pass", "cvc_check": "pass"}
    return {
        "amount_authorized": None,
        "authorization_code": None,
        "brand": "visa",
        "checks": checks,
        "country": "US",
        "exp_month": 8,
        "exp_year": 2034,
        "fingerprint": "SandboxSandbox42",
        "funding": "credit",
        "installments": None,
        "last4": "4242",
        "mandate": None,
        "network": "visa",
        "network_token": {"used": False},
        "network_transaction_id": "100000000000042",
        "regulated_status": "unregulated",
        "three_d_secure": None,
        "wallet": None,
    }
