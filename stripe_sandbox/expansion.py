"""Stripe's `expand`: ids in an answer are replaced by the objects that they name, as deep as Stripe goes."""

from stripe_sandbox.api_error import StripeApiError, invalid_parameter
from stripe_sandbox.api_gate import Call
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.ledger import Ledger
from stripe_sandbox.line_items import line_item_list, line_items_of

_NAMED_ALIKE = ("charge", "customer", "invoice", "payment_intent", "payment_method", "price", "product", "subscription")
_KINDS = {name: name for name in _NAMED_ALIKE} | {
    "latest_charge": "charge", "latest_invoice": "invoice", "default_price": "price",
    "default_payment_method": "payment_method",
}  # fmt: skip
# Lists that Stripe leaves out unless they are asked for: of which kind, and by which field these name their object.
_INCLUDED = {("invoice", "payments"): ("invoice_payment", "invoice"), ("charge", "refunds"): ("refund", "charge")}
_DEEPEST = 4
_EXPANDED_ITEMS = 10


def expanded(call: Call, body: JsonObject, place: str = "") -> JsonObject:
    """Give an object with what the call asks for; in a list each object is one of `data`."""
    for path in call.parameters.get("expand", []):
        parts = path.removeprefix(place).split(".")
        if not path.startswith(place) or len(path.split(".")) > _DEEPEST:
            raise _cannot(path)
        body = _with(call.account.ledger, body, parts, path)
    return body


def _with(ledger: Ledger, body: JsonObject, parts: list[str], path: str) -> JsonObject:
    name, rest = parts[0], parts[1:]
    if name == "line_items" and body.get("object") == "checkout.session":
        value: object = body.get(name) or _first_items(ledger, body["id"])
    elif (body.get("object"), name) in _INCLUDED:
        value = body.get(name) or _included(ledger, body, name)
    elif name in body and (rest or name in _KINDS):
        value = _found(ledger, name, body[name])
    else:
        raise _cannot(path)
    return {**body, name: _below(ledger, value, rest, path) if rest else value}


def _below(ledger: Ledger, value: object, rest: list[str], path: str) -> object:
    match value:
        case None:
            return None
        case list():
            return [_below(ledger, part, rest, path) for part in value]
        case dict():
            return _with(ledger, value, rest, path)
        case _:
            raise _cannot(path)


def _found(ledger: Ledger, name: str, value: object) -> object:
    if isinstance(value, str) and name in _KINDS:
        return ledger.find(_KINDS[name], value) or value
    return value


def _first_items(ledger: Ledger, session_id: str) -> JsonObject:
    items = line_items_of(ledger, session_id)
    return line_item_list(items[:_EXPANDED_ITEMS], session_id, has_more=len(items) > _EXPANDED_ITEMS)


def _included(ledger: Ledger, body: JsonObject, name: str) -> JsonObject:
    kind, field = _INCLUDED[body["object"], name]
    found = ledger.select(kind, [(f"json_extract(body, '$.{field}') = ?", body["id"])], limit=_EXPANDED_ITEMS + 1)
    url = f"/v1/{body['object']}s/{body['id']}/{name}"
    return {"object": "list", "data": found[:_EXPANDED_ITEMS], "has_more": len(found) > _EXPANDED_ITEMS, "url": url}


def _cannot(path: str) -> StripeApiError:
    return invalid_parameter("expand", f"This property cannot be expanded ({path}).")
