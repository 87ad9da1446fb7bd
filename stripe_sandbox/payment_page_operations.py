"""The calls by which Stripe's command line pays a checkout in a buyer's place; they are in no reference of Stripe's."""

from starlette.routing import Route

from stripe_sandbox.api_error import invalid_parameter
from stripe_sandbox.api_gate import ApiGate, Call
from stripe_sandbox.appointments import appoint
from stripe_sandbox.card_behavior import iban_fails
from stripe_sandbox.change import Change, WrongStateError
from stripe_sandbox.charging import declined_error, would_decline
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.payment_flow import FAILS, SETTLES, current_session, decline, pay, pay_later
from stripe_sandbox.payment_method_flow import payment_method
from stripe_sandbox.session_object import KIND, shown_session

# The bank's answer to a debit comes soon, as in Stripe's test mode.
_ANSWERED_AFTER_SECONDS = 2


def payment_page_routes(gate: ApiGate) -> list[Route]:
    """Serve them."""
    path = "/v1/payment_pages/{id}"
    return [
        gate.route("GET", path, "payment_page_retrieve", retrieve_page),
        gate.route("POST", path + "/confirm", "payment_page_confirm", confirm_page),
    ]


def retrieve_page(call: Call) -> JsonObject:
    """Read the page of a session."""
    return _page(call, current_session(call.account, call.object_id))


def confirm_page(call: Call) -> JsonObject:
    """Pay by a payment method: a card at once, a debit later."""
    session = current_session(call.account, call.object_id)
    wanted = call.parameters.get("expected_amount", session["amount_total"])
    if wanted != session["amount_total"]:
        raise invalid_parameter("expected_amount", "The expected amount is not the amount of the Checkout Session.")
    method = payment_method(call.account, call.parameters["payment_method"])
    if method["type"] not in session["payment_method_types"]:
        types = ", ".join(session["payment_method_types"])
        raise invalid_parameter("payment_method", f"This Checkout Session takes {types}, not {method['type']}.")
    try:
        _pay(call, method)
    except WrongStateError as error:
        raise invalid_parameter("payment_method", str(error)) from error
    return _page(call, call.account.ledger.get(KIND, call.object_id))


def _pay(call: Call, method: JsonObject) -> None:
    account = call.account
    if method["type"] != "card":
        pay_later(account, call.object_id, method)
        what = FAILS if iban_fails(account.ledger, method["id"]) else SETTLES
        appoint(account.ledger, what, call.object_id, account.clock.seconds() + _ANSWERED_AFTER_SECONDS)
        account.work_due.set()
        return
    if would_decline(Change(account), method["id"]):
        decline(account, call.object_id, method["id"])
        raise declined_error()
    pay(account, call.object_id, method["id"])


def _page(call: Call, session: JsonObject) -> JsonObject:
    return {
        "id": "ppage_" + session["id"].rpartition("_")[2][:24],
        "object": "checkout.session",
        "session_id": session["id"],
        "payment_status": session["payment_status"],
        "status": session["status"],
        "state": "active" if session["status"] == "open" else "completed",
        "success_url": session["success_url"],
        "url": shown_session(session, call.account.base_url)["url"],
    }
