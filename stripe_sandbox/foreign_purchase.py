"""What others on the same account sell: a Payment Link's checkout, and an invoice made in the dashboard.

Every function runs inside the caller's transaction.
"""

from stripe_sandbox.account import SandboxAccount
from stripe_sandbox.catalog import make_price
from stripe_sandbox.change import Change
from stripe_sandbox.invoice_flow import draft_invoice, finalize_invoice
from stripe_sandbox.invoice_line import single_line
from stripe_sandbox.invoice_object import Bill
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.line_items import make_line_items
from stripe_sandbox.object_ids import new_object_id
from stripe_sandbox.payment_flow import BUYER, keep_session
from stripe_sandbox.session_object import make_session
from stripe_sandbox.session_rules import check_session, check_total
from stripe_sandbox.subscription_objects import make_customer

# Where Stripe sends a buyer whom the link's own page thanks.
_THANKS = "https://stripe.com"
_PASSED_ON = ("client_reference_id", "customer_email", "customer_creation")


def open_link_session(account: SandboxAccount, wanted: JsonObject) -> JsonObject:
    """Open a checkout as a Payment Link does: the link's metadata are copied to it, and to nothing else."""
    now, mode = account.clock.seconds(), wanted.get("mode", "payment")
    parameters: JsonObject = {
        "mode": mode,
        "success_url": _THANKS,
        "metadata": wanted.get("metadata") or {},
        "line_items": [{"price_data": _price_data(wanted, mode), "quantity": 1}],
        **{name: wanted[name] for name in _PASSED_ON if name in wanted},
    }
    check_session(parameters, now)
    items = make_line_items(account.ledger, parameters, now)
    check_total(items, mode)
    session = make_session(parameters, items, None, now) | {"payment_link": new_object_id("plink")}
    intent_data = {"metadata": wanted.get("payment_intent_metadata") or {}}
    subscription_data = {"metadata": wanted.get("subscription_metadata") or {}}
    data = {"payment_intent_data": intent_data, "subscription_data": subscription_data}
    keep_session(account, session, items, data)
    return session


def send_invoice(account: SandboxAccount, wanted: JsonObject) -> JsonObject:
    """Make an invoice of one line for a new customer, and finalize it: it is open until it is paid."""
    change = Change(account)
    customer = make_customer(wanted.get("customer_email", BUYER), {"name": "Sandbox Buyer"}, change.now)
    change.keep(customer, "customer.created")
    price = make_price(account.ledger, _price_data(wanted, "payment"), "", change.now, active=False)
    item = {"price": price, "quantity": 1, "description": _name(wanted)}
    bill = Bill("manual", customer, price["currency"], (change.now, change.now), None, wanted)
    invoice = draft_invoice(change, bill, lambda invoice_id: [single_line(invoice_id, item, change.now)])
    finalize_invoice(change, invoice)
    return invoice


def _price_data(wanted: JsonObject, mode: str) -> JsonObject:
    recurring = {"recurring": {"interval": wanted.get("interval", "month")}} if mode == "subscription" else {}
    amount, currency = wanted.get("amount", 1900), wanted.get("currency", "usd")
    return {"currency": currency, "unit_amount": amount, "product_data": {"name": _name(wanted)}, **recurring}


def _name(wanted: JsonObject) -> str:
    return str(wanted.get("name", "Sold elsewhere"))
