"""What becomes of an invoice: drafted, finalized, paid or not, void or given up; each with a payment of its own.

Every function runs inside the caller's transaction. The sandbox's account tries a failed invoice again only when told.
"""

from collections.abc import Callable

from stripe_sandbox.account import SandboxAccount
from stripe_sandbox.change import Change, WrongStateError
from stripe_sandbox.charging import Outcome, await_buyer, decline, take_money
from stripe_sandbox.invoice_object import Bill, make_invoice, parent_of, put_lines, subscription_id_of
from stripe_sandbox.invoice_payment_object import make_invoice_payment
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.payment_objects import make_payment_intent
from stripe_sandbox.subscription_status import follow_invoice

KIND = "invoice"
_DESCRIPTIONS = {"subscription_create": "Subscription creation", "subscription_cycle": "Subscription update"}


def draft_invoice(change: Change, bill: Bill, lines: Callable[[str], list[JsonObject]]) -> JsonObject:
    """Make a draft; its lines are made for its id."""
    invoice = make_invoice(bill, change.now)
    put_lines(invoice, lines(invoice["id"]))
    change.keep(invoice, "invoice.created")
    return invoice


def finalize_invoice(change: Change, invoice: JsonObject) -> None:
    """Ask for the money: from now on the amounts and the subscription's metadata in it are fixed."""
    ledger = change.account.ledger
    subscription = ledger.find("subscription", subscription_id_of(invoice))
    invoice |= {"number": _number(change, invoice), "status": "open", "effective_at": change.now, "ending_balance": 0}
    invoice["parent"] = parent_of(subscription) if subscription else invoice["parent"]
    invoice["status_transitions"]["finalized_at"] = change.now
    change.keep(invoice, "invoice.finalized")
    if not invoice["amount_due"]:
        _paid(change, invoice)
        return
    terms = {"amount": invoice["amount_due"], "currency": invoice["currency"], "customer": invoice["customer"]}
    data = {"description": _DESCRIPTIONS.get(invoice["billing_reason"], f"Payment for invoice {invoice['number']}")}
    intent = make_payment_intent(terms, data, "card", change.now)
    ledger.put(make_invoice_payment(invoice, intent, change.now))
    change.keep(intent, "payment_intent.created")


def collect(change: Change, invoice: JsonObject, outcome: Outcome, method_id: str = "") -> None:
    """Try to charge an open invoice; its subscription follows what comes of it."""
    if invoice["status"] != "open":
        return
    payment = _open_payment(change.account, invoice)
    intent = change.account.ledger.get("payment_intent", payment["payment"]["payment_intent"])
    buyer = {"email": invoice["customer_email"], "name": invoice["customer_name"]}
    invoice["attempted"] = True
    match outcome:
        case Outcome.ACTION_REQUIRED:
            await_buyer(change, intent, method_id)
            change.keep(invoice, "invoice.payment_action_required")
            follow_invoice(change, invoice)
        case Outcome.DECLINED:
            invoice["attempt_count"] += 1
            decline(change, intent, buyer, method_id)
            change.keep(invoice, "invoice.payment_failed")
            follow_invoice(change, invoice)
        case Outcome.PAID:
            invoice["attempt_count"] += 1
            take_money(change, intent, buyer, method_id)
            payment |= {"status": "paid", "amount_paid": payment["amount_requested"]}
            payment["status_transitions"]["paid_at"] = change.now
            _paid(change, invoice)
            change.keep(payment, "invoice_payment.paid")


def pay_invoice(account: SandboxAccount, invoice_id: str) -> Change:
    """Pay an invoice that is open, as its customer does by its page or an operator in the dashboard."""
    change, invoice = Change(account), account.ledger.get(KIND, invoice_id)
    if invoice["status"] != "open":
        raise WrongStateError(f"Invoice {invoice_id} is {invoice['status']}: only an open one can be paid.")
    collect(change, invoice, Outcome.PAID)
    return change


def void_invoice(change: Change, invoice: JsonObject) -> None:
    """Take an open one back: nobody owes it any more."""
    _give_up(change, invoice, "void", "voided_at", "invoice.voided")


def mark_uncollectible(change: Change, invoice: JsonObject) -> None:
    """Give an open one up."""
    _give_up(change, invoice, "uncollectible", "marked_uncollectible_at", "invoice.marked_uncollectible")


def _give_up(change: Change, invoice: JsonObject, status: str, moment: str, event_type: str) -> None:
    invoice |= {"status": status, "auto_advance": False}
    invoice["status_transitions"][moment] = change.now
    change.keep(invoice, event_type)


def _paid(change: Change, invoice: JsonObject) -> None:
    free = not invoice["amount_due"]
    invoice |= {"status": "paid", "attempted": True, "auto_advance": False}
    invoice |= {"amount_paid": invoice["amount_due"], "amount_remaining": 0}
    invoice["status_transitions"]["paid_at"] = change.now
    change.keep(invoice, *([] if free else ["invoice.payment_succeeded"]), "invoice.paid")
    follow_invoice(change, invoice)


def _open_payment(account: SandboxAccount, invoice: JsonObject) -> JsonObject:
    of_invoice = ("json_extract(body, '$.invoice') = ?", invoice["id"])
    (payment,) = account.ledger.select("invoice_payment", [of_invoice], limit=1)
    return payment


def _number(change: Change, invoice: JsonObject) -> str:
    """Give the next number of the customer."""
    customer = change.account.ledger.get("customer", invoice["customer"])
    sequence = customer["next_invoice_sequence"]
    change.account.ledger.put(customer | {"next_invoice_sequence": sequence + 1})
    return f"{customer['invoice_prefix']}-{sequence:04d}"
