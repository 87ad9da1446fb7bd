"""Stripe's API of disputes: read, list, change metadata, give up; winning is the bank's word."""

from starlette.routing import Route

from stripe_sandbox.api_error import StripeApiError
from stripe_sandbox.api_gate import ApiGate, Call
from stripe_sandbox.change import Change, WrongStateError
from stripe_sandbox.dispute_flow import KIND, close_dispute
from stripe_sandbox.expansion import expanded
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.object_pages import fields_are, list_expanded, retrieve
from stripe_sandbox.played_parameters import DISPUTE_UPDATE, check_played
from stripe_sandbox.session_rules import merged_metadata


def dispute_routes(gate: ApiGate) -> list[Route]:
    """Serve them."""
    path = "/v1/disputes"
    return [
        gate.route("GET", path, "dispute_list", list_disputes),
        gate.route("GET", path + "/{id}", "dispute_retrieve", retrieve(KIND)),
        gate.route("POST", path + "/{id}", "dispute_update", update_dispute),
        gate.route("POST", path + "/{id}/close", "dispute_close", give_up),
    ]


def list_disputes(call: Call) -> JsonObject:
    """List them, newest first."""
    return list_expanded(call, KIND, "/v1/disputes", fields_are(call, "charge", "payment_intent"))


def update_dispute(call: Call) -> JsonObject:
    """Change metadata; evidence is not played."""
    check_played(call.parameters, DISPUTE_UPDATE)
    dispute = call.account.ledger.get(KIND, call.object_id)
    dispute["metadata"] = merged_metadata(dispute["metadata"], call.parameters.get("metadata"))
    Change(call.account, call.cause).keep(dispute, "charge.dispute.updated")
    return expanded(call, dispute)


def give_up(call: Call) -> JsonObject:
    """Accept the loss."""
    try:
        close_dispute(call.account, call.object_id, "lost", call.cause)
    except WrongStateError as error:
        raise StripeApiError("This dispute is already closed", executed=True) from error
    return expanded(call, call.account.ledger.get(KIND, call.object_id))
