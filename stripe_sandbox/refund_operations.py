"""Stripe's API of refunds: make, read, list, change metadata; what becomes of them later is the bank's."""

from starlette.routing import Route

from stripe_sandbox.api_error import StripeApiError, exclusive_parameters
from stripe_sandbox.api_gate import ApiGate, Call
from stripe_sandbox.change import Change
from stripe_sandbox.expansion import expanded
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.object_pages import fields_are, list_expanded, retrieve
from stripe_sandbox.played_parameters import REFUND_CREATE, check_played
from stripe_sandbox.refund_flow import KIND, charge_to_refund, refund_charge
from stripe_sandbox.session_rules import check_metadata, merged_metadata


def refund_routes(gate: ApiGate) -> list[Route]:
    """Serve them."""
    path = "/v1/refunds"
    return [
        gate.route("POST", path, "refund_create", create_refund),
        gate.route("GET", path, "refund_list", list_refunds),
        gate.route("GET", path + "/{id}", "refund_retrieve", retrieve(KIND)),
        gate.route("POST", path + "/{id}", "refund_update", update_refund),
    ]


def create_refund(call: Call) -> JsonObject:
    """Give back a payment, or a part of it."""
    check_played(call.parameters, REFUND_CREATE)
    check_metadata(call.parameters.get("metadata") or {}, "metadata")
    refund = refund_charge(Change(call.account, call.cause), _charge(call), call.parameters)
    return expanded(call, call.account.ledger.get(KIND, refund["id"]))


def list_refunds(call: Call) -> JsonObject:
    """List them, newest first."""
    return list_expanded(call, KIND, "/v1/refunds", fields_are(call, "charge", "payment_intent"))


def update_refund(call: Call) -> JsonObject:
    """Change metadata: an empty value takes a key away."""
    refund = call.account.ledger.get(KIND, call.object_id)
    refund["metadata"] = merged_metadata(refund["metadata"], call.parameters.get("metadata"))
    Change(call.account, call.cause).keep(refund, "refund.updated", "charge.refund.updated")
    return expanded(call, refund)


def _charge(call: Call) -> JsonObject:
    charge_id, intent_id = call.parameters.get("charge"), call.parameters.get("payment_intent")
    if charge_id and intent_id:
        raise exclusive_parameters("charge", ["charge", "payment_intent"])
    if intent_id:
        return charge_to_refund(call.account, intent_id)
    if not charge_id:
        raise StripeApiError(
            "One of the following params should be provided for this request: payment_intent or charge."
        )
    charge = call.account.ledger.get("charge", charge_id)
    return charge_to_refund(call.account, charge["payment_intent"])
