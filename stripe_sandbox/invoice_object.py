"""The invoice of a subscription as Stripe writes it: always paid so far, renewals come in a later issue."""

from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.object_ids import new_object_id
from stripe_sandbox.subscription_objects import period_end

# What an invoice holds where the sandbox has nothing to say; then what is nought, and what is the whole amount.
_EMPTY = (
    "account_country", "account_name", "account_tax_ids", "application", "automatically_finalizes_at",
    "custom_fields", "customer_account", "customer_address", "customer_phone", "customer_shipping",
    "default_payment_method", "default_source", "description", "due_date", "effective_at", "ending_balance",
    "footer", "from_invoice", "hosted_invoice_url", "invoice_pdf", "last_finalization_error", "latest_revision",
    "next_payment_attempt", "on_behalf_of", "receipt_number", "rendering", "shipping_cost", "shipping_details",
    "statement_descriptor", "test_clock", "webhooks_delivered_at",
)  # fmt: skip
_ZERO = (
    "amount_overpaid", "amount_paid_off_stripe", "amount_remaining", "amount_shipping", "attempt_count",
    "post_payment_credit_notes_amount", "pre_payment_credit_notes_amount", "starting_balance",
)  # fmt: skip
_WHOLE = ("amount_due", "amount_paid", "subtotal", "subtotal_excluding_tax", "total", "total_excluding_tax")
_LISTS = (
    "customer_tax_ids", "default_tax_rates", "discounts", "total_discount_amounts", "total_pretax_credit_amounts",
    "total_taxes",
)  # fmt: skip


def make_invoice(subscription: JsonObject, session: JsonObject, items: list[JsonObject], now: int) -> JsonObject:
    """Build the paid first invoice; it names its subscription and its metadata as of now."""
    invoice_id, buyer = new_object_id("in"), session["customer_details"] or {}
    lines = [_invoice_line(invoice_id, subscription, item, now) for item in items]
    return {
        "id": invoice_id,
        "object": "invoice",
        **dict.fromkeys(_EMPTY),
        **dict.fromkeys(_ZERO, 0),
        **dict.fromkeys(_WHOLE, session["amount_total"]),
        **{name: [] for name in _LISTS},
        **_state(now),
        "automatic_tax": dict.fromkeys(("disabled_reason", "liability", "provider", "status")) | {"enabled": False},
        "billing_reason": "subscription_create",
        "collection_method": "charge_automatically",
        "currency": session["currency"],
        "customer": session["customer"],
        "customer_email": buyer.get("email"),
        "customer_name": buyer.get("name"),
        "customer_tax_exempt": "none",
        "issuer": {"type": "self"},
        "lines": {
            "object": "list", "data": lines, "has_more": False, "total_count": len(lines),
            "url": f"/v1/invoices/{invoice_id}/lines",
        },
        "livemode": False,
        "metadata": {},
        "number": "SANDBOX-0001",
        "parent": _parent(subscription),
        "payment_settings": dict.fromkeys(("default_mandate", "payment_method_options", "payment_method_types")),
    }  # fmt: skip


def _state(now: int) -> JsonObject:
    """Tell when it was made and paid: at once."""
    times = {"finalized_at": now, "marked_uncollectible_at": None, "paid_at": now, "voided_at": None}
    return {
        "attempted": True,
        "auto_advance": False,
        "created": now,
        "period_end": now,
        "period_start": now,
        "status": "paid",
        "status_transitions": times,
    }


def _parent(subscription: JsonObject) -> JsonObject:
    details = {"metadata": subscription["metadata"], "subscription": subscription["id"]}
    return {"quote_details": None, "subscription_details": details, "type": "subscription_details"}


def _invoice_line(invoice_id: str, subscription: JsonObject, item: JsonObject, now: int) -> JsonObject:
    price = item["price"]
    end = period_end(now, price["recurring"]) if price["recurring"] else now
    details = {
        "invoice_item": None, "proration": False, "proration_details": {"credited_items": None},
        "subscription": subscription["id"], "subscription_item": subscription["items"]["data"][0]["id"],
    }  # fmt: skip
    return {
        "id": new_object_id("il"),
        "object": "line_item",
        "amount": item["amount_total"],
        "currency": item["currency"],
        "description": f"{item['quantity']} x {item['description']}",
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "invoice": invoice_id,
        "livemode": False,
        "metadata": dict(subscription["metadata"]),
        "parent": {
            "invoice_item_details": None, "subscription_item_details": details, "type": "subscription_item_details",
        },
        "period": {"end": end, "start": now},
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": {"price": price["id"], "product": price["product"]},
            "type": "price_details",
            "unit_amount_decimal": price["unit_amount_decimal"],
        },
        "quantity": item["quantity"],
        "quantity_decimal": str(item["quantity"]),
        "subscription": subscription["id"],
        "subtotal": item["amount_total"],
        "taxes": [],
    }  # fmt: skip
