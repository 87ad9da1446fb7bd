"""What becomes of a subscription: begun, renewed, paused, canceled, ended; each period has an invoice of its own.

Every function runs inside the caller's transaction. Stripe leaves a renewal's draft for an hour; here it is at once.
"""

from stripe_sandbox.account import SandboxAccount
from stripe_sandbox.appointments import appoint, call_off
from stripe_sandbox.change import Change, WrongStateError
from stripe_sandbox.charging import Outcome, outcome_of
from stripe_sandbox.invoice_flow import collect, draft_invoice, finalize_invoice, mark_uncollectible, void_invoice
from stripe_sandbox.invoice_line import single_line, subscription_line
from stripe_sandbox.invoice_object import Bill
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.subscription_objects import next_period_end, roll_period
from stripe_sandbox.subscription_status import KIND

PERIOD = "subscription_period"
_RENEWING = ("active", "past_due")
_UPDATED = "customer.subscription.updated"


def begin_subscription(
    change: Change, subscription: JsonObject, extras: list[JsonObject], outcome: Outcome
) -> JsonObject:
    """Keep a new subscription with its first invoice, which also bills what is bought once beside it."""
    customer = change.account.ledger.get("customer", subscription["customer"])
    bill = Bill("subscription_create", customer, subscription["currency"], (change.now, change.now), subscription)
    items = subscription["items"]["data"]

    def lines(invoice_id: str) -> list[JsonObject]:
        recurring = _lines(change, invoice_id, subscription, items)
        return recurring + [single_line(invoice_id, item, change.now, subscription["id"]) for item in extras]

    subscription["status"] = "active" if outcome is Outcome.PAID else "incomplete"
    change.keep(subscription, "customer.subscription.created")
    invoice = draft_invoice(change, bill, lines)
    _name_latest(change, subscription, invoice)
    finalize_invoice(change, invoice)
    collect(change, invoice, outcome, subscription["default_payment_method"] or "")
    _appoint_next(change.account, subscription)
    return invoice


def renew(account: SandboxAccount, subscription_id: str, outcome: Outcome | None = None) -> Change:
    """Begin the next period and bill it; without an outcome the customer's card decides."""
    change, subscription = Change(account), account.ledger.get(KIND, subscription_id)
    if subscription["status"] not in _RENEWING or subscription["cancel_at_period_end"]:
        ending = ", and ends with its period" if subscription["cancel_at_period_end"] else ""
        raise WrongStateError(
            f"Subscription {subscription_id} is {subscription['status']}{ending}: it is renewed only while it is "
            "active or past_due and goes on."
        )
    boundary = next_period_end(subscription)
    start = min(item["current_period_start"] for item in subscription["items"]["data"])
    rolled = roll_period(subscription, boundary)
    customer = account.ledger.get("customer", subscription["customer"])
    bill = Bill("subscription_cycle", customer, subscription["currency"], (start, boundary), subscription)
    invoice = draft_invoice(change, bill, lambda invoice_id: _lines(change, invoice_id, subscription, rolled))
    subscription["latest_invoice"] = invoice["id"]
    change.keep(subscription, _UPDATED)
    method_id = subscription["default_payment_method"] or ""
    if not _bill_as_paused(change, subscription, invoice):
        finalize_invoice(change, invoice)
        collect(change, invoice, outcome or outcome_of(change, method_id), method_id)
    _appoint_next(account, account.ledger.get(KIND, subscription_id))
    return change


def end_subscription(change: Change, subscription: JsonObject, ended_at: int) -> None:
    """End it for good; what is open stays open, and is not tried again by itself."""
    subscription |= {"status": "canceled", "ended_at": ended_at, "canceled_at": subscription["canceled_at"] or ended_at}
    subscription["cancellation_details"]["reason"] = "cancellation_requested"
    call_off(change.account.ledger, PERIOD, subscription["id"])
    change.keep(subscription, "customer.subscription.deleted")


def move_on(account: SandboxAccount, subscription_id: str) -> None:
    """Do what a subscription's time has come for: it goes on collecting, ends, or begins its next period."""
    change, subscription = Change(account), account.ledger.get(KIND, subscription_id)
    resumes_at = (subscription["pause_collection"] or {}).get("resumes_at")
    cancel_at = subscription["cancel_at"]
    if resumes_at is not None and resumes_at <= change.now:
        subscription["pause_collection"] = None
        keep_changed(change, subscription)
    elif cancel_at is not None and cancel_at <= change.now:
        end_subscription(change, subscription, cancel_at)
    elif subscription["status"] in _RENEWING and next_period_end(subscription) <= change.now:
        renew(account, subscription_id)


def keep_changed(change: Change, subscription: JsonObject, event_type: str = _UPDATED) -> None:
    """Keep a subscription that was changed, and when it has to be looked at next."""
    change.keep(subscription, event_type)
    _appoint_next(change.account, subscription)


def _lines(change: Change, invoice_id: str, subscription: JsonObject, items: list[JsonObject]) -> list[JsonObject]:
    return [subscription_line(invoice_id, subscription, item, _described(change, item)) for item in items]


def _described(change: Change, item: JsonObject) -> str:
    product = change.account.ledger.find("product", item["price"]["product"]) or {}
    return f"{item['quantity']} \N{MULTIPLICATION SIGN} {product.get('name', 'Subscription')}"


def _name_latest(change: Change, subscription: JsonObject, invoice: JsonObject) -> None:
    subscription["latest_invoice"] = invoice["id"]
    change.account.ledger.put(subscription)


def _bill_as_paused(change: Change, subscription: JsonObject, invoice: JsonObject) -> bool:
    """Do with an invoice what the pause says; says whether there is one."""
    behavior = (subscription["pause_collection"] or {}).get("behavior")
    if behavior is None:
        return False
    if behavior == "keep_as_draft":
        invoice["auto_advance"] = False
        change.account.ledger.put(invoice)
        return True
    finalize_invoice(change, invoice)
    if invoice["status"] == "open":
        (void_invoice if behavior == "void" else mark_uncollectible)(change, invoice)
    return True


def _appoint_next(account: SandboxAccount, subscription: JsonObject) -> None:
    times = [next_period_end(subscription), subscription["cancel_at"]]
    times.append((subscription["pause_collection"] or {}).get("resumes_at"))
    appoint(account.ledger, PERIOD, subscription["id"], min(time for time in times if time is not None))
    account.work_due.set()
