"""What happens to a checkout session: paid, paid later, declined, expired; each move keeps its objects and events.

Every function runs inside the caller's transaction and refuses a session in the wrong state.
"""

from stripe_sandbox import charging
from stripe_sandbox.account import SandboxAccount
from stripe_sandbox.change import Change, NotPlayedError, WrongStateError
from stripe_sandbox.charging import Outcome, take_money, would_decline
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.line_items import keep_line_items, line_items_of
from stripe_sandbox.payment_method_object import make_payment_method
from stripe_sandbox.payment_objects import make_charge, make_payment_intent
from stripe_sandbox.session_object import KIND, customer_details
from stripe_sandbox.subscription_flow import begin_subscription
from stripe_sandbox.subscription_objects import make_customer, make_subscription

PLAN = "payment_plan"
SETTLES = "payment_settles"
FAILS = "payment_fails"
BUYER = "buyer@example.com"
_BANK_FAILED = {"code": "payment_intent_payment_attempt_failed", "message": "The payment failed.", "type": "card_error"}


def keep_session(account: SandboxAccount, session: JsonObject, items: list[JsonObject], data: JsonObject) -> None:
    """Keep a session with its items, and the data that its payment or subscription is to get."""
    account.ledger.put(session)
    keep_line_items(account.ledger, session["id"], items)
    plan = {name: data.get(name) or {} for name in ("payment_intent_data", "subscription_data")}
    account.ledger.put({"id": session["id"], "payment_intent": None, **plan}, PLAN)


def pay(account: SandboxAccount, session_id: str, method_id: str = "") -> Change:
    """Take the whole amount at once, by a card; one that is always declined leaves the session open."""
    if would_decline(Change(account), method_id):
        return decline(account, session_id, method_id)
    session, change = _open_session(account, session_id), Change(account)
    _meet_customer(account, session, change, method_id)
    if session["mode"] == "subscription":
        _subscribe(session, change, method_id)
    elif session["amount_total"]:
        intent = _intent(account, session, "card", change)
        session["payment_intent"] = intent["id"]
        take_money(change, intent, session["customer_details"], method_id)
    status = "paid" if session["amount_total"] else "no_payment_required"
    session |= {"status": "complete", "payment_status": status}
    change.keep(session, "checkout.session.completed")
    return change


def pay_later(account: SandboxAccount, session_id: str, method: JsonObject | None = None) -> Change:
    """Complete the checkout by a bank debit whose money comes, or not, days later."""
    session, change = _open_session(account, session_id), Change(account)
    if session["mode"] == "subscription":
        raise NotPlayedError("Paying a subscription later is not played by the sandbox yet: pay it at once.")
    if not session["amount_total"]:
        raise WrongStateError(f"Checkout session {session_id} costs nothing, so nothing can be paid later: pay it.")
    if session["payment_method_types"] == ["card"]:
        raise WrongStateError(f"Checkout session {session_id} takes cards only, so nothing can be paid later: pay it.")
    _meet_customer(account, session, change, method["id"] if method else "")
    intent = _intent(account, session, "sepa_debit", change)
    intent["payment_method"] = method and method["id"]
    charge = make_charge(intent, session["customer_details"], "pending", change.now)
    intent |= {"status": "processing", "latest_charge": charge["id"], "payment_method": charge["payment_method"]}
    change.keep(intent, "payment_intent.processing")
    change.keep(charge, "charge.pending")
    session |= {"status": "complete", "payment_status": "unpaid", "payment_intent": intent["id"]}
    change.keep(session, "checkout.session.completed")
    return change


def settle(account: SandboxAccount, session_id: str) -> Change:
    """Let the money of a delayed payment arrive."""
    session, intent, charge = _awaited(account, session_id)
    change = Change(account)
    fresh = make_charge(intent, session["customer_details"], "succeeded", account.clock.seconds())
    charge |= {name: fresh[name] for name in ("status", "paid", "balance_transaction", "outcome")}
    intent |= {"status": "succeeded", "amount_received": intent["amount"]}
    session["payment_status"] = "paid"
    change.keep(charge, "charge.succeeded")
    change.keep(intent, "payment_intent.succeeded")
    change.keep(session, "checkout.session.async_payment_succeeded")
    return change


def fail(account: SandboxAccount, session_id: str) -> Change:
    """Let a delayed payment fail: the session stays complete and unpaid."""
    session, intent, charge = _awaited(account, session_id)
    change = Change(account)
    fresh = make_charge(intent, session["customer_details"], "failed", account.clock.seconds())
    charge |= {name: fresh[name] for name in ("status", "paid", "captured", "amount_captured", "outcome")}
    charge |= {"failure_code": "account_closed", "failure_message": "The bank account has been closed."}
    intent |= {"status": "requires_payment_method", "last_payment_error": _BANK_FAILED}
    change.keep(charge, "charge.failed")
    change.keep(intent, "payment_intent.payment_failed")
    change.keep(session, "checkout.session.async_payment_failed")
    return change


def decline(account: SandboxAccount, session_id: str, method_id: str = "") -> Change:
    """Refuse a card: the session stays open, and the same payment intent is tried again."""
    session, change = _open_session(account, session_id), Change(account)
    if session["mode"] == "subscription" or not session["amount_total"]:
        return change
    intent = _intent(account, session, "card", change)
    charging.decline(change, intent, customer_details(known_email(account, session) or BUYER), method_id)
    return change


def settle_if_awaited(account: SandboxAccount, session_id: str, *, succeeds: bool) -> None:
    """Let a bank answer whose time has come, unless somebody was earlier."""
    session = account.ledger.get(KIND, session_id)
    intent = account.ledger.find("payment_intent", session["payment_intent"]) or {}
    if intent.get("status") == "processing":
        (settle if succeeds else fail)(account, session_id)


def expire(account: SandboxAccount, session_id: str, cause: JsonObject | None = None) -> Change:
    """Close a session that was not paid."""
    session, change = _open_session(account, session_id), Change(account, cause)
    session["status"] = "expired"
    change.keep(session, "checkout.session.expired")
    return change


def expire_due(account: SandboxAccount, limit: int = 200) -> int:
    """Expire the sessions whose time is over."""
    due = account.ledger.overdue_sessions(account.clock.seconds(), limit)
    for session_id, owner in due:
        current_session(account.acting_for(owner), session_id)
    return len(due)


def current_session(account: SandboxAccount, session_id: str) -> JsonObject:
    """Get a session, expired if its time is over."""
    session = account.ledger.get(KIND, session_id)
    if session["status"] == "open" and session["expires_at"] <= account.clock.seconds():
        session["status"] = "expired"
        Change(account).keep(session, "checkout.session.expired")
    return session


def _open_session(account: SandboxAccount, session_id: str) -> JsonObject:
    session = current_session(account, session_id)
    if session["status"] != "open":
        raise WrongStateError(
            f"Checkout session {session_id} is {session['status']}: only an open one can be paid, declined or expired."
        )
    return session


def _awaited(account: SandboxAccount, session_id: str) -> tuple[JsonObject, JsonObject, JsonObject]:
    session = current_session(account, session_id)
    intent = account.ledger.find("payment_intent", session["payment_intent"])
    if session["status"] != "complete" or intent is None or intent["status"] != "processing":
        raise WrongStateError(
            f"Checkout session {session_id} awaits no delayed payment (status {session['status']}, payment_status "
            f"{session['payment_status']}): only after pay_later can it settle or fail, and only once."
        )
    return session, intent, account.ledger.get("charge", intent["latest_charge"])


def known_email(account: SandboxAccount, session: JsonObject) -> str:
    """Give the buyer's address, where the shop told it."""
    customer = account.ledger.find("customer", session["customer"]) or {}
    return str(session["customer_email"] or customer.get("email") or "")


def can_pay_later(session: JsonObject) -> bool:
    """Tell whether a delayed method is offered: one payment, of more than nothing, not by cards alone."""
    return (
        session["mode"] == "payment" and bool(session["amount_total"]) and session["payment_method_types"] != ["card"]
    )


def _meet_customer(account: SandboxAccount, session: JsonObject, change: Change, method_id: str) -> None:
    method = account.ledger.find("payment_method", method_id) or {"billing_details": {}}
    email = known_email(account, session) or method["billing_details"].get("email") or BUYER
    session["customer_details"] = customer_details(email)
    if session["customer"] is None and session["customer_creation"] == "always":
        customer = make_customer(email, {"name": "Sandbox Buyer"}, account.clock.seconds())
        session["customer"] = customer["id"]
        change.keep(customer, "customer.created")


def _intent(account: SandboxAccount, session: JsonObject, method: str, change: Change) -> JsonObject:
    """Make the intent of a session on the first attempt, and keep it for the next ones."""
    plan = account.ledger.get(PLAN, session["id"])
    known = account.ledger.find("payment_intent", plan.get("payment_intent"))
    if known is not None:
        return known | {"payment_method_types": [method], "customer": session["customer"], "last_payment_error": None}
    terms = {"amount": session["amount_total"], "currency": session["currency"], "customer": session["customer"]}
    intent = make_payment_intent(terms, plan["payment_intent_data"], method, change.now)
    account.ledger.put({**plan, "payment_intent": intent["id"]}, PLAN)
    change.keep(intent, "payment_intent.created")
    return intent


def _subscribe(session: JsonObject, change: Change, method_id: str) -> None:
    """Begin the subscription of a session by its first invoice, which has a payment of its own."""
    ledger = change.account.ledger
    items = line_items_of(ledger, session["id"])
    if not method_id:
        method = make_payment_method("card", {"email": session["customer_details"]["email"]}, None, change.now)
        method_id = method["id"]
        change.keep(method | {"customer": session["customer"]}, "payment_method.attached")
    terms = {"currency": session["currency"], "customer": session["customer"], "payment_method": method_id}
    prices = [(item["price"], item["quantity"]) for item in items if item["price"]["recurring"]]
    data = ledger.get(PLAN, session["id"])["subscription_data"]
    subscription = make_subscription(terms, prices, data, change.now)
    extras = [item for item in items if not item["price"]["recurring"]]
    invoice = begin_subscription(change, subscription, extras, Outcome.PAID)
    session |= {"subscription": subscription["id"], "invoice": invoice["id"]}
