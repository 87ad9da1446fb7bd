"""A subscription and its first invoice as Stripe writes them; renewals and cancellations come in a later issue."""

from calendar import monthrange
from datetime import UTC, datetime, timedelta

from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.object_ids import new_object_id
from stripe_sandbox.session_rules import kept_metadata


def make_customer(email: str | None, data: JsonObject, now: int) -> JsonObject:
    """Build a customer."""
    return {
        "id": new_object_id("cus"),
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": now,
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": data.get("description"),
        "discount": None,
        "email": email,
        "invoice_prefix": "SANDBOX",
        "invoice_settings": {
            "custom_fields": None, "default_payment_method": None, "footer": None, "rendering_options": None,
        },
        "livemode": False,
        "metadata": kept_metadata(data),
        "name": data.get("name"),
        "next_invoice_sequence": 1,
        "phone": data.get("phone"),
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }  # fmt: skip


def period_end(start: int, recurring: JsonObject) -> int:
    """Tell when a period that begins now ends; months keep the day where they have it."""
    begin = datetime.fromtimestamp(start, UTC)
    count, interval = recurring["interval_count"], recurring["interval"]
    if interval in ("day", "week"):
        return int((begin + timedelta(days=count * (7 if interval == "week" else 1))).timestamp())
    months = begin.month - 1 + count * (12 if interval == "year" else 1)
    year, month = begin.year + months // 12, months % 12 + 1
    day = min(begin.day, monthrange(year, month)[1])
    return int(begin.replace(year=year, month=month, day=day).timestamp())


def make_subscription(session: JsonObject, items: list[JsonObject], data: JsonObject, now: int) -> JsonObject:
    """Build an active subscription of a session's recurring items."""
    subscription_id = new_object_id("sub")
    recurring = [item for item in items if item["price"]["recurring"]]
    parts = [_subscription_item(subscription_id, item, now) for item in recurring]
    empty = (
        "application", "application_fee_percent", "billing_cycle_anchor_config", "billing_thresholds", "cancel_at",
        "canceled_at", "customer_account", "days_until_due", "default_payment_method", "default_source",
        "ended_at", "latest_invoice", "next_pending_invoice_item_invoice", "on_behalf_of", "pause_collection",
        "pending_invoice_item_interval", "pending_setup_intent", "pending_update", "schedule", "test_clock",
        "transfer_data", "trial_end", "trial_start",
    )  # fmt: skip
    return {
        "id": subscription_id,
        "object": "subscription",
        **dict.fromkeys(empty),
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": now,
        "billing_mode": {"flexible": {"proration_discounts": "included"}, "type": "flexible", "updated_at": now},
        "billing_schedules": [],
        "cancel_at_period_end": False,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": now,
        "currency": session["currency"],
        "customer": session["customer"],
        "default_tax_rates": [],
        "description": data.get("description"),
        "discounts": [],
        "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
        "items": {
            "object": "list", "data": parts, "has_more": False,
            "url": f"/v1/subscription_items?subscription={subscription_id}",
        },
        "livemode": False,
        "metadata": kept_metadata(data),
        "payment_settings": {
            "payment_method_options": None, "payment_method_types": None, "save_default_payment_method": "off",
        },
        "start_date": now,
        "status": "active",
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
    }  # fmt: skip


def make_invoice(subscription: JsonObject, session: JsonObject, items: list[JsonObject], now: int) -> JsonObject:
    """Build the paid first invoice; it names its subscription and its metadata as of now."""
    invoice_id = new_object_id("in")
    total = session["amount_total"]
    details = {"metadata": subscription["metadata"], "subscription": subscription["id"]}
    lines = [_invoice_line(invoice_id, subscription, item, now) for item in items]
    empty = (
        "account_country", "account_name", "account_tax_ids", "application", "automatically_finalizes_at",
        "custom_fields", "customer_account", "customer_address", "customer_phone", "customer_shipping",
        "default_payment_method", "default_source", "description", "due_date", "effective_at", "ending_balance",
        "footer", "from_invoice", "last_finalization_error", "latest_revision", "next_payment_attempt", "on_behalf_of",
        "post_payment_credit_notes_amount", "pre_payment_credit_notes_amount", "receipt_number", "rendering",
        "shipping_cost", "shipping_details", "statement_descriptor", "test_clock", "webhooks_delivered_at",
    )  # fmt: skip
    zero = (
        "amount_overpaid", "amount_paid_off_stripe", "amount_remaining", "amount_shipping", "starting_balance",
        "post_payment_credit_notes_amount", "pre_payment_credit_notes_amount",
    )  # fmt: skip
    whole = ("amount_due", "amount_paid", "subtotal", "subtotal_excluding_tax", "total", "total_excluding_tax")
    return {
        "id": invoice_id,
        "object": "invoice",
        **dict.fromkeys(empty),
        **dict.fromkeys(zero, 0),
        **dict.fromkeys(whole, total),
        "attempt_count": 0,
        "attempted": True,
        "auto_advance": False,
        "automatic_tax": {
            "disabled_reason": None, "enabled": False, "liability": None, "provider": None, "status": None,
        },
        "billing_reason": "subscription_create",
        "collection_method": "charge_automatically",
        "created": now,
        "currency": session["currency"],
        "customer": session["customer"],
        "customer_email": (session["customer_details"] or {}).get("email"),
        "customer_name": (session["customer_details"] or {}).get("name"),
        "customer_tax_exempt": "none",
        "customer_tax_ids": [],
        "default_tax_rates": [],
        "discounts": [],
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "issuer": {"type": "self"},
        "lines": {
            "object": "list", "data": lines, "has_more": False, "total_count": len(lines),
            "url": f"/v1/invoices/{invoice_id}/lines",
        },
        "livemode": False,
        "metadata": {},
        "number": "SANDBOX-0001",
        "parent": {"quote_details": None, "subscription_details": details, "type": "subscription_details"},
        "payment_settings": {
            "default_mandate": None, "payment_method_options": None, "payment_method_types": None,
        },
        "period_end": now,
        "period_start": now,
        "status": "paid",
        "status_transitions": {
            "finalized_at": now, "marked_uncollectible_at": None, "paid_at": now, "voided_at": None,
        },
        "total_discount_amounts": [],
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
    }  # fmt: skip


def _subscription_item(subscription_id: str, item: JsonObject, now: int) -> JsonObject:
    return {
        "id": new_object_id("si"),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": now,
        "current_period_end": period_end(now, item["price"]["recurring"]),
        "current_period_start": now,
        "discounts": [],
        "metadata": {},
        "price": item["price"],
        "quantity": item["quantity"],
        "subscription": subscription_id,
        "tax_rates": [],
    }


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
