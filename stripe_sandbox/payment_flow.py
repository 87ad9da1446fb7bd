"""What happens to a checkout session: paid, paid later, declined, expired; each move keeps its objects and events.

Every function runs inside the caller's transaction and refuses a session in the wrong state.
"""

from stripe_sandbox.account import SandboxAccount
from stripe_sandbox.invoice_object import make_invoice
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.line_items import line_items_of
from stripe_sandbox.payment_objects import make_charge, make_payment_intent
from stripe_sandbox.session_object import KIND, customer_details, shown_session
from stripe_sandbox.subscription_objects import make_customer, make_subscription

PLAN = "payment_plan"
BUYER = "buyer@example.com"
_DECLINED = {
    "advice_code": "try_again_later",
    "code": "card_declined",
    "decline_code": "generic_decline",
    "doc_url": "https://stripe.com/docs/error-codes/card-declined",
    "message": "Your card was declined.",
    "type": "card_error",
}
_BANK_FAILED = {"code": "payment_intent_payment_attempt_failed", "message": "The payment failed.", "type": "card_error"}


class WrongStateError(Exception):
    """Raised when a session or payment is not in the state that a move needs."""


class NotPlayedError(Exception):
    """Raised for what the sandbox does not play yet."""


class Change:
    """The events of one move, in the order in which Stripe makes them."""

    def __init__(self, account: SandboxAccount, cause: JsonObject | None = None) -> None:
        self._account = account
        self._cause = cause
        self.events: list[JsonObject] = []

    def keep(self, subject: JsonObject, *event_types: str) -> None:
        """Keep an object and emit what happened to it."""
        self._account.ledger.put(subject)
        for event_type in event_types:
            seen = shown_session(subject, self._account.base_url) if subject["object"] == KIND else subject
            self.events.append(self._account.emit(event_type, seen, self._cause, len(self.events)))


def pay(account: SandboxAccount, session_id: str) -> Change:
    """Take the whole amount at once, by card."""
    session, change = _open_session(account, session_id), Change(account)
    _meet_customer(account, session, change)
    if session["mode"] == "subscription":
        _subscribe(account, session, change)
    elif session["amount_total"]:
        _charge_card(account, session, change)
    status = "paid" if session["amount_total"] else "no_payment_required"
    session |= {"status": "complete", "payment_status": status}
    change.keep(session, "checkout.session.completed")
    return change


def pay_later(account: SandboxAccount, session_id: str) -> Change:
    """Complete the checkout by a bank debit whose money comes, or not, days later."""
    session, change = _open_session(account, session_id), Change(account)
    if session["mode"] == "subscription":
        raise NotPlayedError("Paying a subscription later is not played by the sandbox yet: pay it at once.")
    if not session["amount_total"]:
        raise WrongStateError(f"Checkout session {session_id} costs nothing, so nothing can be paid later: pay it.")
    if session["payment_method_types"] == ["card"]:
        raise WrongStateError(f"Checkout session {session_id} takes cards only, so nothing can be paid later: pay it.")
    _meet_customer(account, session, change)
    now = account.clock.seconds()
    intent = _intent(account, session, "sepa_debit", change)
    charge = make_charge(intent, session["customer_details"], "pending", now)
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
    change.keep(intent, "payment_intent.succeeded")
    change.keep(charge, "charge.succeeded")
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


def decline(account: SandboxAccount, session_id: str) -> Change:
    """Refuse a card: the session stays open, and the same payment intent is tried again."""
    session, change = _open_session(account, session_id), Change(account)
    if session["mode"] == "subscription" or not session["amount_total"]:
        return change
    intent = _intent(account, session, "card", change)
    charge = make_charge(
        intent, customer_details(known_email(account, session) or BUYER), "failed", account.clock.seconds()
    )
    charge |= {"failure_code": "card_declined", "failure_message": "Your card was declined."}
    intent |= {"last_payment_error": {**_DECLINED, "charge": charge["id"]}, "latest_charge": charge["id"]}
    change.keep(charge, "charge.failed")
    change.keep(intent, "payment_intent.payment_failed")
    return change


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


def _meet_customer(account: SandboxAccount, session: JsonObject, change: Change) -> None:
    email = known_email(account, session) or BUYER
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
    intent = make_payment_intent(session, plan["payment_intent_data"], method, account.clock.seconds())
    account.ledger.put({**plan, "payment_intent": intent["id"]}, PLAN)
    change.keep(intent, "payment_intent.created")
    return intent


def _charge_card(account: SandboxAccount, session: JsonObject, change: Change) -> None:
    intent = _intent(account, session, "card", change)
    charge = make_charge(intent, session["customer_details"], "succeeded", account.clock.seconds())
    intent |= {
        "status": "succeeded",
        "amount_received": intent["amount"],
        "latest_charge": charge["id"],
        "payment_method": charge["payment_method"],
    }
    session["payment_intent"] = intent["id"]
    change.keep(intent, "payment_intent.succeeded")
    change.keep(charge, "charge.succeeded")


def _subscribe(account: SandboxAccount, session: JsonObject, change: Change) -> None:
    plan, now = account.ledger.get(PLAN, session["id"]), account.clock.seconds()
    items = line_items_of(account.ledger, session["id"])
    subscription = make_subscription(session, items, plan["subscription_data"], now)
    invoice = make_invoice(subscription, session, items, now)
    subscription["latest_invoice"] = invoice["id"]
    session |= {"subscription": subscription["id"], "invoice": invoice["id"]}
    change.keep(subscription, "customer.subscription.created")
    change.keep(invoice, "invoice.paid")
