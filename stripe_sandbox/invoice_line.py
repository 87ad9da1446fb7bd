"""The lines of an invoice as Stripe writes them: one for each item of a subscription, and single ones."""

from stripe_sandbox.catalog import amount_of
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.object_ids import new_object_id


def subscription_line(invoice_id: str, subscription: JsonObject, item: JsonObject, what: str) -> JsonObject:
    """Bill an item for its present period; the subscription's metadata are copied to the line, as Stripe does."""
    price = item["price"]
    details = {
        "invoice_item": None, "proration": False, "proration_details": {"credited_items": None},
        "subscription": subscription["id"], "subscription_item": item["id"],
    }  # fmt: skip
    return {
        **_line(invoice_id, price["currency"], amount_of(price, item["quantity"]), what),
        "metadata": dict(subscription["metadata"]),
        "parent": {
            "invoice_item_details": None, "subscription_item_details": details, "type": "subscription_item_details",
        },
        "period": {"end": item["current_period_end"], "start": item["current_period_start"]},
        **_priced(price, item["quantity"]),
        "subscription": subscription["id"],
    }  # fmt: skip


def single_line(invoice_id: str, item: JsonObject, now: int, subscription_id: str | None = None) -> JsonObject:
    """Bill something once; `item` tells what, its price, and how many."""
    price, quantity = item["price"], item["quantity"]
    details = {
        "invoice_item": item.get("invoice_item") or new_object_id("ii"), "proration": False,
        "proration_details": {"credited_items": None}, "subscription": subscription_id,
    }  # fmt: skip
    return {
        **_line(invoice_id, price["currency"], amount_of(price, quantity), item["description"]),
        "metadata": dict(item.get("metadata") or {}),
        "parent": {"invoice_item_details": details, "subscription_item_details": None, "type": "invoice_item_details"},
        "period": {"end": now, "start": now},
        **_priced(price, quantity),
        "subscription": subscription_id,
    }


def _line(invoice_id: str, currency: str, amount: int, description: str | None) -> JsonObject:
    return {
        "id": new_object_id("il"),
        "object": "line_item",
        "amount": amount,
        "currency": currency,
        "description": description,
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "invoice": invoice_id,
        "livemode": False,
        "pretax_credit_amounts": [],
        "subtotal": amount,
        "taxes": [],
    }


def _priced(price: JsonObject, quantity: int) -> JsonObject:
    return {
        "pricing": {
            "price_details": {"price": price["id"], "product": price["product"]},
            "type": "price_details",
            "unit_amount_decimal": price["unit_amount_decimal"],
        },
        "quantity": quantity,
        "quantity_decimal": str(quantity),
    }
