"""What the dashboard and the API do to a subscription: pause, resume, cancel now or with its period.

Every function runs inside the caller's transaction and gives the subscription as it is then.
"""

from stripe_sandbox.change import Change, WrongStateError
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.subscription_flow import end_subscription, keep_changed
from stripe_sandbox.subscription_objects import next_period_end
from stripe_sandbox.subscription_status import KIND

ENDED = ("canceled", "incomplete_expired")
BEHAVIORS = ("keep_as_draft", "mark_uncollectible", "void")


def pause(change: Change, subscription_id: str, behavior: str) -> JsonObject:
    """Pause what is collected, by a behavior, or without one the subscription itself."""
    subscription = _running(change, subscription_id)
    if behavior and behavior not in BEHAVIORS:
        raise WrongStateError(f"A pause's behavior can be {', '.join(BEHAVIORS)}; {behavior!r} is none of them.")
    if behavior:
        subscription["pause_collection"] = {"behavior": behavior, "resumes_at": None}
        keep_changed(change, subscription)
    else:
        subscription["status"] = "paused"
        keep_changed(change, subscription, "customer.subscription.paused")
    return subscription


def resume(change: Change, subscription_id: str) -> JsonObject:
    """Undo either pause."""
    subscription = _running(change, subscription_id)
    if subscription["status"] == "paused":
        subscription["status"] = "active"
        keep_changed(change, subscription, "customer.subscription.resumed")
    elif subscription["pause_collection"]:
        subscription["pause_collection"] = None
        keep_changed(change, subscription)
    else:
        raise WrongStateError(f"Subscription {subscription_id} is not paused.")
    return subscription


def cancel(change: Change, subscription_id: str, *, at_period_end: bool) -> JsonObject:
    """End it now, or let it end with the period that is paid."""
    subscription = _running(change, subscription_id)
    if at_period_end:
        set_cancellation(subscription, at_period_end=True, now=change.now)
        keep_changed(change, subscription)
    else:
        end_subscription(change, subscription, change.now)
    return subscription


def set_cancellation(subscription: JsonObject, *, at_period_end: bool, now: int) -> None:
    """Schedule the end with the period, or take it back; the time of asking is what `canceled_at` tells."""
    subscription |= {
        "cancel_at": next_period_end(subscription) if at_period_end else None,
        "cancel_at_period_end": at_period_end,
        "canceled_at": now if at_period_end else None,
    }
    subscription["cancellation_details"]["reason"] = "cancellation_requested" if at_period_end else None


def _running(change: Change, subscription_id: str) -> JsonObject:
    subscription = change.account.ledger.get(KIND, subscription_id)
    if subscription["status"] in ENDED:
        raise WrongStateError(f"Subscription {subscription_id} is {subscription['status']}: nothing can happen to it.")
    return subscription
