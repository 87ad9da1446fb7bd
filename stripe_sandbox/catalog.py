"""Products and prices: made by the API, or on the way from a checkout's `price_data`, as Stripe does."""

from decimal import ROUND_HALF_UP, Decimal

from stripe_sandbox.api_error import StripeApiError, exclusive_parameters, invalid_parameter, missing_parameter, no_such
from stripe_sandbox.currencies import LARGEST_AMOUNT, THREE_DECIMAL, WHOLE_HUNDREDS, is_currency
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.ledger import Ledger
from stripe_sandbox.object_ids import new_object_id
from stripe_sandbox.session_rules import check_metadata, kept_metadata

_RECURRING_DEFAULTS = {"interval_count": 1, "meter": None, "trial_period_days": None, "usage_type": "licensed"}
_MOST_DECIMALS = 12
_MOST_INTERVALS = {"day": 1095, "week": 156, "month": 36, "year": 3}


def make_product(ledger: Ledger, data: JsonObject, now: int, *, active: bool = True) -> JsonObject:
    """Keep a product."""
    check_metadata(data.get("metadata") or {}, "metadata")
    product = {
        "id": data.get("id") or new_object_id("prod"),
        "object": "product",
        "active": data.get("active", active),
        "attributes": [],
        "created": now,
        "default_price": None,
        "description": data.get("description"),
        "images": data.get("images", []),
        "livemode": False,
        "marketing_features": data.get("marketing_features", []),
        "metadata": kept_metadata(data),
        "name": data["name"],
        "package_dimensions": None,
        "shippable": data.get("shippable"),
        "statement_descriptor": data.get("statement_descriptor"),
        "tax_code": data.get("tax_code"),
        "type": "service",
        "unit_label": data.get("unit_label"),
        "updated": now,
        "url": data.get("url"),
    }
    ledger.put(product)
    return product


def make_price(ledger: Ledger, data: JsonObject, place: str, now: int, *, active: bool = True) -> JsonObject:
    """Keep a price, and its product where the data describe one; `place` names the data in errors."""
    amount = unit_amount(data, place)
    currency = checked_currency(data["currency"], place)
    check_amount(amount, currency, place)
    whole = int(amount) if amount == amount.to_integral_value() else None
    recurring = _recurring(data.get("recurring"), place)
    price = {
        "id": new_object_id("price"),
        "object": "price",
        "active": data.get("active", active),
        "billing_scheme": "per_unit",
        "created": now,
        "currency": currency,
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": data.get("lookup_key"),
        "metadata": kept_metadata(data),
        "nickname": data.get("nickname"),
        "product": _product_of(ledger, data, place, now, active=active),
        "recurring": recurring,
        "tax_behavior": data.get("tax_behavior", "unspecified"),
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring" if recurring else "one_time",
        "unit_amount": whole,
        "unit_amount_decimal": str(whole) if whole is not None else f"{amount.normalize():f}",
    }
    ledger.put(price)
    return price


def amount_of(price: JsonObject, quantity: int) -> int:
    """Give what so many cost, in whole minor units."""
    exact = Decimal(price["unit_amount_decimal"]) * quantity
    return int(exact.to_integral_value(ROUND_HALF_UP))


def unit_amount(data: JsonObject, place: str) -> Decimal:
    """Read the amount, of which Stripe wants exactly one form."""
    given = [name for name in ("unit_amount", "unit_amount_decimal") if name in data]
    if not given:
        raise missing_parameter(_in(place, "unit_amount"))
    if len(given) == 2:
        raise exclusive_parameters(_in(place, "unit_amount"), given)
    amount = Decimal(data[given[0]])
    if amount != round(amount, _MOST_DECIMALS):
        message = f"Invalid decimal: {amount}; must contain at most {_MOST_DECIMALS} decimal places."
        raise invalid_parameter(_in(place, "unit_amount_decimal"), message)
    return amount


def checked_currency(code: str, place: str) -> str:
    """Give Stripe's lowercase code, or refuse."""
    if not is_currency(code.lower()):
        raise StripeApiError(
            f"Invalid currency: {code}. Stripe currently supports the currencies of https://stripe.com/docs/currencies",
            param=_in(place, "currency"),
        )
    return code.lower()


def check_amount(amount: Decimal, currency: str, place: str) -> None:
    """Refuse amounts that no charge could have."""
    param = _in(place, "unit_amount")
    if amount < 0:
        message = "Invalid non-negative integer"
        raise invalid_parameter(param, message, "parameter_invalid_integer")
    if amount > LARGEST_AMOUNT:
        raise invalid_parameter(param, "Amount must be no more than 99,999,999 minor units", "amount_too_large")
    if currency in THREE_DECIMAL and amount % 10:
        raise invalid_parameter(param, f"Amounts in {currency} must end in 0.", "parameter_invalid_integer")
    if currency in WHOLE_HUNDREDS and amount % 100:
        raise invalid_parameter(param, f"Amounts in {currency} must end in 00.", "parameter_invalid_integer")


def _product_of(ledger: Ledger, data: JsonObject, place: str, now: int, *, active: bool) -> str:
    if "product" in data:
        if ledger.find("product", data["product"]) is None:
            raise no_such("product", data["product"], _in(place, "product"), 400)
        return str(data["product"])
    if "product_data" not in data:
        raise missing_parameter(_in(place, "product"))
    return str(make_product(ledger, data["product_data"], now, active=active)["id"])


def _recurring(data: JsonObject | None, place: str) -> JsonObject | None:
    if data is None:
        return None
    recurring = {**_RECURRING_DEFAULTS, **data}
    if not 1 <= recurring["interval_count"] <= _MOST_INTERVALS[recurring["interval"]]:
        raise invalid_parameter(
            _in(place, "recurring[interval_count]"),
            "Invalid interval_count: the period must be at least one interval, and at most three years.",
        )
    return recurring


def _in(place: str, name: str) -> str:
    if not place:
        return name
    head, _, tail = name.partition("[")
    return f"{place}[{head}]" + (f"[{tail}" if tail else "")
