"""A customer and a subscription as Stripe writes them, and the counting of its periods; it moves nothing."""

from calendar import monthrange
from datetime import UTC, datetime

from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.object_ids import new_object_id
from stripe_sandbox.session_rules import kept_metadata

DAY = 24 * 3600
# What a subscription holds where the sandbox has nothing to say.
_EMPTY = (
    "application", "application_fee_percent", "billing_cycle_anchor_config", "billing_thresholds", "cancel_at",
    "canceled_at", "customer_account", "days_until_due", "default_source", "ended_at",
    "latest_invoice", "next_pending_invoice_item_invoice", "on_behalf_of", "pause_collection",
    "pending_invoice_item_interval", "pending_setup_intent", "pending_update", "schedule", "test_clock",
    "transfer_data", "trial_end", "trial_start",
)  # fmt: skip


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


def period_end(anchor: int, recurring: JsonObject, after: int) -> int:
    """Tell when the period ends that holds a time: periods are counted from the anchor, so that its day is kept."""
    begin = datetime.fromtimestamp(anchor, UTC)
    count, interval = int(recurring["interval_count"]), recurring["interval"]
    if interval in ("day", "week"):
        seconds = DAY * count * (7 if interval == "week" else 1)
        return anchor + seconds * ((after - anchor) // seconds + 1)
    months = count * (12 if interval == "year" else 1)
    then = datetime.fromtimestamp(after, UTC)
    periods = max(0, ((then.year - begin.year) * 12 + then.month - begin.month) // months)
    end = _months_later(begin, periods * months)
    return end if end > after else _months_later(begin, (periods + 1) * months)


def _months_later(begin: datetime, months: int) -> int:
    """Count months; a day that a month does not have is its last one."""
    year, month = begin.year + (begin.month - 1 + months) // 12, (begin.month - 1 + months) % 12 + 1
    day = min(begin.day, monthrange(year, month)[1])
    return int(begin.replace(year=year, month=month, day=day).timestamp())


def make_subscription(
    terms: JsonObject, prices: list[tuple[JsonObject, int]], data: JsonObject, now: int
) -> JsonObject:
    """Build an active subscription to prices, each so many times; `terms` names customer, currency and method."""
    subscription_id = new_object_id("sub")
    items = [_subscription_item(subscription_id, price, quantity, now) for price, quantity in prices]
    return {
        "id": subscription_id,
        "object": "subscription",
        **dict.fromkeys(_EMPTY),
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": now,
        "billing_mode": {"flexible": {"proration_discounts": "included"}, "type": "flexible", "updated_at": now},
        "billing_schedules": [],
        "cancel_at_period_end": False,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": now,
        "currency": terms["currency"],
        "customer": terms["customer"],
        "default_payment_method": terms.get("payment_method"),
        "default_tax_rates": [],
        "description": data.get("description"),
        "discounts": [],
        "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
        "items": {
            "object": "list", "data": items, "has_more": False,
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


def next_period_end(subscription: JsonObject) -> int:
    """Tell when the period of the item ends that ends first."""
    return min(int(item["current_period_end"]) for item in subscription["items"]["data"])


def roll_period(subscription: JsonObject, boundary: int) -> list[JsonObject]:
    """Move the items whose period ends at a boundary into their next one, and give them."""
    rolled = [item for item in subscription["items"]["data"] if item["current_period_end"] == boundary]
    for item in rolled:
        end = period_end(subscription["billing_cycle_anchor"], item["price"]["recurring"], boundary)
        item |= {"current_period_start": boundary, "current_period_end": end}
    return rolled


def _subscription_item(subscription_id: str, price: JsonObject, quantity: int, now: int) -> JsonObject:
    return {
        "id": new_object_id("si"),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": now,
        "current_period_end": period_end(now, price["recurring"], now),
        "current_period_start": now,
        "discounts": [],
        "metadata": {},
        "price": price,
        "quantity": quantity,
        "subscription": subscription_id,
        "tax_rates": [],
    }
