"""Stripe's API of checkout sessions: create, read, list, update, expire; payments happen elsewhere."""

from starlette.routing import Route

from stripe_sandbox.api_error import StripeApiError, no_such
from stripe_sandbox.api_gate import ApiGate, Call
from stripe_sandbox.expansion import expanded
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.ledger import Condition
from stripe_sandbox.line_items import line_item_list, line_items_of, make_line_items
from stripe_sandbox.object_pages import list_page, slice_page
from stripe_sandbox.payment_flow import current_session, expire, expire_due, keep_session
from stripe_sandbox.played_parameters import SESSION_CREATE, SESSION_UPDATE, check_played
from stripe_sandbox.session_object import KIND, make_session, shown_session
from stripe_sandbox.session_rules import check_session, check_total, merged_metadata

_FILTERS = ("customer", "payment_intent", "status", "subscription")


def session_routes(gate: ApiGate) -> list[Route]:
    """Serve them."""
    path = "/v1/checkout/sessions"
    return [
        gate.route("POST", path, "session_create", create_session),
        gate.route("GET", path, "session_list", list_sessions),
        gate.route("GET", path + "/{id}", "session_retrieve", retrieve_session),
        gate.route("POST", path + "/{id}", "session_update", update_session),
        gate.route("GET", path + "/{id}/line_items", "session_line_items", list_line_items),
        gate.route("POST", path + "/{id}/expire", "session_expire", expire_session),
    ]


def create_session(call: Call) -> JsonObject:
    """Open a checkout; its address is the sandbox's own page."""
    account, parameters = call.account, call.parameters
    now = account.clock.seconds()
    check_played(parameters, SESSION_CREATE)
    check_session(parameters, now)
    customer = parameters.get("customer")
    if customer is not None and account.ledger.find("customer", customer) is None:
        raise no_such("customer", customer, "customer", 400)
    items = make_line_items(account.ledger, parameters, now)
    check_total(items, parameters["mode"])
    session = make_session(parameters, items, customer, now)
    keep_session(account, session, items, parameters)
    account.work_due.set()
    return shown(call, session)


def retrieve_session(call: Call) -> JsonObject:
    """Read one."""
    return shown(call, current_session(call.account, call.object_id))


def list_sessions(call: Call) -> JsonObject:
    """List them, newest first."""
    expire_due(call.account)
    conditions: list[Condition] = [
        (f"json_extract(body, '$.{name}') = ?", call.parameters[name]) for name in _FILTERS if name in call.parameters
    ]
    if "customer_details" in call.parameters:
        email = call.parameters["customer_details"]["email"]
        conditions.append(("json_extract(body, '$.customer_details.email') = ?", email))
    page = list_page(call, KIND, "/v1/checkout/sessions", conditions)
    return {**page, "data": [shown(call, session, "data.") for session in page["data"]]}


def update_session(call: Call) -> JsonObject:
    """Change metadata: an empty value takes a key away."""
    check_played(call.parameters, SESSION_UPDATE)
    session = current_session(call.account, call.object_id)
    session["metadata"] = merged_metadata(session["metadata"], call.parameters.get("metadata"))
    call.account.ledger.put(session)
    return shown(call, session)


def list_line_items(call: Call) -> JsonObject:
    """List a session's items in the order of the request."""
    call.account.ledger.get(KIND, call.object_id)
    items = line_items_of(call.account.ledger, call.object_id)
    page, more = slice_page(items, call.parameters)
    return line_item_list(page, call.object_id, has_more=more)


def expire_session(call: Call) -> JsonObject:
    """Close an open one."""
    session = current_session(call.account, call.object_id)
    if session["status"] != "open":
        raise StripeApiError(
            'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of '
            f"{session['status']}.",
            executed=True,
        )
    expire(call.account, call.object_id, call.cause)
    return shown(call, call.account.ledger.get(KIND, call.object_id))


def shown(call: Call, session: JsonObject, place: str = "") -> JsonObject:
    """Give a session as it is seen now, with what the caller wants to be expanded."""
    return expanded(call, shown_session(session, call.account.base_url), place)
