"""The invoice as Stripe writes it: a draft at first, its amounts those of its lines; the flows move it on."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.object_ids import new_object_id
from stripe_sandbox.session_rules import kept_metadata

# What an invoice holds where the sandbox has nothing to say; then what is nought, and what is the whole amount.
_EMPTY = (
    "account_country", "account_name", "account_tax_ids", "application", "automatically_finalizes_at",
    "custom_fields", "customer_account", "customer_address", "customer_phone", "customer_shipping",
    "default_payment_method", "default_source", "due_date", "effective_at", "ending_balance",
    "footer", "from_invoice", "hosted_invoice_url", "invoice_pdf", "last_finalization_error", "latest_revision",
    "next_payment_attempt", "number", "on_behalf_of", "receipt_number", "rendering", "shipping_cost",
    "shipping_details", "statement_descriptor", "test_clock", "webhooks_delivered_at",
)  # fmt: skip
_ZERO = (
    "amount_overpaid", "amount_paid", "amount_paid_off_stripe", "amount_shipping", "attempt_count",
    "post_payment_credit_notes_amount", "pre_payment_credit_notes_amount", "starting_balance",
)  # fmt: skip
_WHOLE = ("amount_due", "amount_remaining", "subtotal", "subtotal_excluding_tax", "total", "total_excluding_tax")
_LISTS = (
    "customer_tax_ids", "default_tax_rates", "discounts", "total_discount_amounts", "total_pretax_credit_amounts",
    "total_taxes",
)  # fmt: skip


@dataclass(frozen=True)
class Bill:
    """Why an invoice is made, for whom, and over which time Stripe looks back."""

    reason: str
    customer: JsonObject
    currency: str
    period: tuple[int, int]
    subscription: JsonObject | None = None
    extras: JsonObject = field(default_factory=dict)
    """Its own metadata and description, which come from nowhere else."""


def make_invoice(bill: Bill, now: int) -> JsonObject:
    """Build a draft without lines."""
    start, end = bill.period
    return {
        "id": new_object_id("in"),
        "object": "invoice",
        **dict.fromkeys(_EMPTY),
        **dict.fromkeys(_ZERO, 0),
        **dict.fromkeys(_WHOLE, 0),
        **{name: [] for name in _LISTS},
        "attempted": False,
        "auto_advance": True,
        "automatic_tax": dict.fromkeys(("disabled_reason", "liability", "provider", "status")) | {"enabled": False},
        "billing_reason": bill.reason,
        "collection_method": "charge_automatically",
        "created": now,
        "currency": bill.currency,
        "customer": bill.customer["id"],
        "customer_email": bill.customer["email"],
        "customer_name": bill.customer["name"],
        "customer_tax_exempt": "none",
        "description": bill.extras.get("description"),
        "issuer": {"type": "self"},
        "lines": None,
        "livemode": False,
        "metadata": kept_metadata(bill.extras),
        "parent": parent_of(bill.subscription),
        "payment_settings": dict.fromkeys(("default_mandate", "payment_method_options", "payment_method_types")),
        "period_end": end,
        "period_start": start,
        "status": "draft",
        "status_transitions": dict.fromkeys(("finalized_at", "marked_uncollectible_at", "paid_at", "voided_at")),
    }


def put_lines(invoice: JsonObject, lines: Sequence[JsonObject]) -> None:
    """Give a draft its lines, and so its amounts."""
    url = f"/v1/invoices/{invoice['id']}/lines"
    invoice["lines"] = {
        "object": "list", "data": list(lines), "has_more": False, "total_count": len(lines), "url": url,
    }  # fmt: skip
    invoice |= dict.fromkeys(_WHOLE, sum(line["amount"] for line in lines))


def parent_of(subscription: JsonObject | None) -> JsonObject | None:
    """Name the subscription that an invoice is of, with its metadata as of now."""
    if subscription is None:
        return None
    details = {"metadata": dict(subscription["metadata"]), "subscription": subscription["id"]}
    return {"quote_details": None, "subscription_details": details, "type": "subscription_details"}


def subscription_id_of(invoice: JsonObject) -> str:
    """Name the subscription that an invoice is of; empty for one that stands alone."""
    details = (invoice["parent"] or {}).get("subscription_details") or {}
    return str(details.get("subscription", ""))
