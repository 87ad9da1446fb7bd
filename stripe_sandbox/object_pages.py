"""Stripe's plain reading: one object by its id, or a list: newest first, cursors both ways, `created`."""

from collections.abc import Sequence

from stripe_sandbox.api_error import exclusive_parameters, invalid_parameter, no_such
from stripe_sandbox.api_gate import Call, Operation
from stripe_sandbox.expansion import expanded
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.ledger import Condition

_NEWER, _OLDER = "(created, position) > (?, ?)", "(created, position) < (?, ?)"
_COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def retrieve(kind: str) -> Operation:
    """Make the operation that reads one object of a kind."""
    return lambda call: expanded(call, call.account.ledger.get(kind, call.object_id))


def list_page(call: Call, kind: str, url: str, conditions: Sequence[Condition] = ()) -> JsonObject:
    """Select one page of objects by a call's parameters."""
    parameters, ledger = call.parameters, call.account.ledger
    limit = checked_limit(parameters)
    check_cursors(parameters)
    where = [*conditions, *_created(parameters.get("created"))]
    backwards = "ending_before" in parameters
    if backwards:
        where.append((_NEWER, ledger.place(kind, parameters["ending_before"], "ending_before")))
    if "starting_after" in parameters:
        where.append((_OLDER, ledger.place(kind, parameters["starting_after"], "starting_after")))
    found = ledger.select(kind, where, limit + 1, ascending=backwards)
    data = found[:limit][::-1] if backwards else found[:limit]
    return {"object": "list", "data": data, "has_more": len(found) > limit, "url": url}


def list_expanded(call: Call, kind: str, url: str, conditions: Sequence[Condition]) -> JsonObject:
    """Select one page of objects, with what the call wants to be expanded in each."""
    page = list_page(call, kind, url, conditions)
    return {**page, "data": [expanded(call, found, "data.") for found in page["data"]]}


def fields_are(call: Call, *names: str) -> list[Condition]:
    """Make the conditions of the fields that a call filters by; names are constants of this package."""
    return [(f"json_extract(body, '$.{name}') = ?", call.parameters[name]) for name in names if name in call.parameters]


def slice_page(items: list[JsonObject], parameters: JsonObject) -> tuple[list[JsonObject], bool]:
    """Cut one page of a list that is held whole, in its own order."""
    limit, ids = checked_limit(parameters), [item["id"] for item in items]
    check_cursors(parameters)
    if "ending_before" in parameters:
        end = _index(ids, parameters["ending_before"], "ending_before")
        start = max(0, end - limit)
        return items[start:end], start > 0
    start = _index(ids, parameters["starting_after"], "starting_after") + 1 if "starting_after" in parameters else 0
    return items[start : start + limit], len(items) > start + limit


def checked_limit(parameters: JsonObject) -> int:
    """Read `limit`: 1 to 100, 10 by default."""
    limit = int(parameters.get("limit", 10))
    if not 1 <= limit <= 100:
        bound = "greater than or equal to 1" if limit < 1 else "less than or equal to 100"
        raise invalid_parameter("limit", f"This value must be {bound}.", "parameter_invalid_integer")
    return limit


def check_cursors(parameters: JsonObject) -> None:
    """Refuse two ways at once."""
    if "ending_before" in parameters and "starting_after" in parameters:
        raise exclusive_parameters("ending_before", ["ending_before", "starting_after"])


def _index(ids: list[str], wanted: str, param: str) -> int:
    if wanted not in ids:
        raise no_such("line item", wanted, param, 400)
    return ids.index(wanted)


def _created(wanted: JsonObject | int | None) -> list[Condition]:
    if wanted is None:
        return []
    if isinstance(wanted, int):
        return [("created = ?", wanted)]
    return [(f"created {_COMPARISONS[name]} ?", value) for name, value in wanted.items()]
