"""Stripe's API of subscriptions: read, list, change, cancel; renewals are time's."""

from starlette.routing import Route

from stripe_sandbox.api_error import invalid_parameter, no_such
from stripe_sandbox.api_gate import ApiGate, Call
from stripe_sandbox.change import Change
from stripe_sandbox.expansion import expanded
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.ledger import Condition
from stripe_sandbox.object_pages import fields_are, list_expanded, retrieve
from stripe_sandbox.payment_method_flow import payment_method
from stripe_sandbox.played_parameters import (
    SUBSCRIPTION_CANCEL,
    SUBSCRIPTION_LIST,
    SUBSCRIPTION_UPDATE,
    check_played,
)
from stripe_sandbox.session_rules import merged_metadata
from stripe_sandbox.subscription_changes import ENDED, set_cancellation
from stripe_sandbox.subscription_flow import end_subscription, keep_changed
from stripe_sandbox.subscription_status import KIND

_STATUS = "json_extract(body, '$.status')"
_STILL_CHANGING = ("expand", "metadata", "cancellation_details")


def subscription_routes(gate: ApiGate) -> list[Route]:
    """Serve them."""
    path = "/v1/subscriptions"
    return [
        gate.route("GET", path, "subscription_list", list_subscriptions),
        gate.route("GET", path + "/{id}", "subscription_retrieve", retrieve(KIND)),
        gate.route("POST", path + "/{id}", "subscription_update", update_subscription),
        gate.route("DELETE", path + "/{id}", "subscription_cancel", cancel_subscription),
    ]


def list_subscriptions(call: Call) -> JsonObject:
    """List them, newest first; without a status, all that have not been canceled."""
    check_played(call.parameters, SUBSCRIPTION_LIST)
    conditions = [*fields_are(call, "customer"), *_of_status(call.parameters.get("status"))]
    return list_expanded(call, KIND, "/v1/subscriptions", conditions)


def update_subscription(call: Call) -> JsonObject:
    """Change metadata, the pause of its collection, or whether it ends with its period."""
    parameters = call.parameters
    check_played(parameters, SUBSCRIPTION_UPDATE)
    subscription = call.account.ledger.get(KIND, call.object_id)
    if subscription["status"] in ENDED and set(parameters) - set(_STILL_CHANGING):
        raise invalid_parameter(
            next(name for name in parameters if name not in _STILL_CHANGING),
            "A canceled subscription can only update its cancellation_details and metadata.",
        )
    change = Change(call.account, call.cause)
    _take_over(call, subscription)
    wanted = parameters.get("cancel_at_period_end")
    if wanted is not None and wanted != subscription["cancel_at_period_end"]:
        set_cancellation(subscription, at_period_end=wanted, now=change.now)
    _keep(change, subscription)
    return expanded(call, subscription)


def cancel_subscription(call: Call) -> JsonObject:
    """End one now; one that has ended is not there any more, as at Stripe."""
    check_played(call.parameters, SUBSCRIPTION_CANCEL)
    subscription = call.account.ledger.get(KIND, call.object_id)
    if subscription["status"] in ENDED:
        raise no_such(KIND, call.object_id)
    change = Change(call.account, call.cause)
    subscription["cancellation_details"] |= call.parameters.get("cancellation_details") or {}
    end_subscription(change, subscription, change.now)
    return expanded(call, subscription)


def _take_over(call: Call, subscription: JsonObject) -> None:
    parameters = call.parameters
    subscription["metadata"] = merged_metadata(subscription["metadata"], parameters.get("metadata"))
    subscription["cancellation_details"] |= parameters.get("cancellation_details") or {}
    if "pause_collection" in parameters:
        paused = parameters["pause_collection"]
        subscription["pause_collection"] = {"resumes_at": None, **paused} if paused else None
    if "default_payment_method" in parameters:
        method = payment_method(call.account, parameters["default_payment_method"], "default_payment_method")
        subscription["default_payment_method"] = method["id"]


def _keep(change: Change, subscription: JsonObject) -> None:
    """Keep what was changed; what is as it was makes no event."""
    if subscription == change.account.ledger.get(KIND, subscription["id"]):
        return
    if subscription["status"] in ENDED:
        change.keep(subscription, "customer.subscription.updated")
    else:
        keep_changed(change, subscription)


def _of_status(wanted: str | None) -> list[Condition]:
    if wanted == "all":
        return []
    if wanted is None or wanted == "ended":
        return [(f"{_STATUS} {'NOT IN' if wanted is None else 'IN'} (?, ?)", ENDED)]
    return [(f"{_STATUS} = ?", wanted)]
