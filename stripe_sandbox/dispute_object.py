"""The dispute as Stripe writes it: a buyer's bank takes the money back, or only inquires; no metadata are copied."""

from dataclasses import dataclass

from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.object_ids import new_object_id

DAY = 24 * 3600
DAYS_TO_ANSWER = 8
_EVIDENCE = (
    "access_activity_log", "billing_address", "cancellation_policy", "cancellation_policy_disclosure",
    "cancellation_rebuttal", "customer_communication", "customer_email_address", "customer_name",
    "customer_purchase_ip", "customer_signature", "duplicate_charge_documentation", "duplicate_charge_explanation",
    "duplicate_charge_id", "product_description", "receipt", "refund_policy", "refund_policy_disclosure",
    "refund_refusal_explanation", "service_date", "service_documentation", "shipping_address", "shipping_carrier",
    "shipping_date", "shipping_documentation", "shipping_tracking_number", "uncategorized_file", "uncategorized_text",
)  # fmt: skip
REASONS = (
    "bank_cannot_process", "check_returned", "credit_not_processed", "customer_initiated", "debit_not_authorized",
    "duplicate", "fraudulent", "general", "incorrect_account_details", "insufficient_funds", "noncompliant",
    "product_not_received", "product_unacceptable", "subscription_canceled", "unrecognized",
)  # fmt: skip
_NETWORK_CODES = {"fraudulent": "10.4", "product_not_received": "13.1"}


@dataclass(frozen=True)
class Claim:
    """What a buyer's bank says."""

    amount: int
    reason: str = "fraudulent"
    inquiry: bool = False
    """Only a question so far: no money is taken."""


def make_dispute(charge: JsonObject, claim: Claim, now: int) -> JsonObject:
    """Build one that awaits an answer; the money that it takes is written by the flow."""
    return {
        "id": new_object_id("du"),
        "object": "dispute",
        "amount": claim.amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": now,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys(_EVIDENCE), "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": (now // DAY + DAYS_TO_ANSWER + 1) * DAY - 1,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": claim.inquiry,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        **_method_details(charge["payment_method_details"]["type"], claim),
        "reason": claim.reason,
        "status": "warning_needs_response" if claim.inquiry else "needs_response",
    }


def _method_details(method: str, claim: Claim) -> JsonObject:
    if method != "card":
        return {}
    card = {
        "brand": "visa",
        "case_type": "inquiry" if claim.inquiry else "chargeback",
        "network": "visa",
        "network_reason_code": "10" if claim.inquiry else _NETWORK_CODES.get(claim.reason, "13.7"),
    }
    return {"payment_method_details": {"card": card, "type": "card"}}
