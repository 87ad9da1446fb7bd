"""The items of a checkout: each gets its price, its amounts and its text; amounts are whole minor units."""

from stripe_sandbox.api_error import StripeApiError, exclusive_parameters, invalid_parameter, missing_parameter, no_such
from stripe_sandbox.catalog import amount_of, make_price
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.ledger import Ledger
from stripe_sandbox.object_ids import new_object_id
from stripe_sandbox.session_rules import check_metadata, kept_metadata

KIND = "line_items"


def make_line_items(ledger: Ledger, parameters: JsonObject, now: int) -> list[JsonObject]:
    """Build the items in the order of the request."""
    mode = parameters["mode"]
    items = [
        _line_item(ledger, item, f"line_items[{index}]", mode, now)
        for index, item in enumerate(parameters["line_items"])
    ]
    if mode == "subscription" and not any(item["price"]["recurring"] for item in items):
        raise invalid_parameter(
            "line_items",
            "You must provide at least one recurring price in `subscription` mode when using prices.",
        )
    return items


def keep_line_items(ledger: Ledger, session_id: str, items: list[JsonObject]) -> None:
    """Keep the items beside their session."""
    ledger.put({"id": session_id, "data": items}, KIND)


def line_items_of(ledger: Ledger, session_id: str) -> list[JsonObject]:
    """Give the items of a session."""
    found = ledger.find(KIND, session_id)
    return list(found["data"]) if found else []


def line_item_list(items: list[JsonObject], session_id: str, *, has_more: bool = False) -> JsonObject:
    """Wrap items as Stripe lists them."""
    url = f"/v1/checkout/sessions/{session_id}/line_items"
    return {"object": "list", "data": items, "has_more": has_more, "url": url}


def _line_item(ledger: Ledger, item: JsonObject, place: str, mode: str, now: int) -> JsonObject:
    price = _price(ledger, item, place, now)
    if mode == "payment" and price["recurring"]:
        raise invalid_parameter(
            f"{place}[price_data][recurring]" if "price_data" in item else f"{place}[price]",
            "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or use "
            "only one-time prices.",
        )
    if "quantity" not in item:
        raise StripeApiError(
            f"Quantity is required. Add `quantity` to `{place}`", code="parameter_missing", param=f"{place}[quantity]"
        )
    quantity = item["quantity"]
    if quantity < 1:
        raise invalid_parameter(
            f"{place}[quantity]", "This value must be greater than or equal to 1.", "parameter_invalid_integer"
        )
    check_metadata(item.get("metadata") or {}, f"{place}[metadata]")
    return _body(ledger, price, quantity, kept_metadata(item))


def _price(ledger: Ledger, item: JsonObject, place: str, now: int) -> JsonObject:
    if "price" in item and "price_data" in item:
        raise exclusive_parameters(f"{place}[price]", ["price", "price_data"])
    if "price_data" in item:
        return make_price(ledger, item["price_data"], f"{place}[price_data]", now, active=False)
    if "price" not in item:
        raise missing_parameter(f"{place}[price]")
    price = ledger.find("price", item["price"])
    if price is None:
        raise no_such("price", item["price"], f"{place}[price]", 400)
    if not price["active"]:
        raise invalid_parameter(
            f"{place}[price]", f"The price specified is inactive. This field only accepts active prices: {price['id']}"
        )
    return price


def _body(ledger: Ledger, price: JsonObject, quantity: int, metadata: JsonObject) -> JsonObject:
    product, amount = ledger.get("product", price["product"]), amount_of(price, quantity)
    return {
        "id": new_object_id("li"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": price["currency"],
        "description": product["name"],
        "metadata": metadata,
        "price": price,
        "quantity": quantity,
    }
