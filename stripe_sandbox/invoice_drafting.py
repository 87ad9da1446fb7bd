"""Stripe's API by which invoices are made without a subscription: items wait for a customer's next one."""

from starlette.routing import Route

from stripe_sandbox.api_error import StripeApiError
from stripe_sandbox.api_gate import ApiGate, Call
from stripe_sandbox.catalog import make_price
from stripe_sandbox.change import Change
from stripe_sandbox.charging import Outcome, action_error, declined_error, outcome_of
from stripe_sandbox.expansion import expanded
from stripe_sandbox.invoice_flow import (
    KIND,
    collect,
    draft_invoice,
    finalize_invoice,
    mark_uncollectible,
    void_invoice,
)
from stripe_sandbox.invoice_line import single_line
from stripe_sandbox.invoice_object import Bill
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.object_ids import new_object_id
from stripe_sandbox.payment_method_flow import payment_method
from stripe_sandbox.played_parameters import INVOICE_CREATE, INVOICE_ITEM_CREATE, INVOICE_UPDATE, check_played
from stripe_sandbox.session_rules import check_metadata, kept_metadata, merged_metadata

ITEM = "invoiceitem"
_PENDING = ("json_extract(body, '$.invoice') IS NULL AND json_extract(body, '$.customer') = ?",)


def invoice_drafting_routes(gate: ApiGate) -> list[Route]:
    """Serve them."""
    path = "/v1/invoices"
    return [
        gate.route("POST", "/v1/invoiceitems", "invoice_item_create", create_item),
        gate.route("POST", path, "invoice_create", create_invoice),
        gate.route("POST", path + "/{id}", "invoice_update", update_invoice),
        gate.route("POST", path + "/{id}/finalize", "invoice_finalize", finalize),
        gate.route("POST", path + "/{id}/pay", "invoice_pay", pay),
        gate.route("POST", path + "/{id}/void", "invoice_void", void),
        gate.route("POST", path + "/{id}/mark_uncollectible", "invoice_mark_uncollectible", give_up),
    ]


def create_item(call: Call) -> JsonObject:
    """Keep what a customer's next invoice is to bill."""
    parameters, change = call.parameters, Change(call.account, call.cause)
    check_played(parameters, INVOICE_ITEM_CREATE)
    customer = call.account.ledger.get("customer", parameters["customer"], "customer", 400)
    text, currency = parameters.get("description") or "Invoice item", parameters.get("currency", "usd")
    price = make_price(
        call.account.ledger,
        {"currency": currency, "unit_amount": parameters.get("amount", 0), "product_data": {"name": text}},
        "",
        change.now,
        active=False,
    )
    item = _item(customer["id"], price, parameters, change.now)
    change.keep(item, "invoiceitem.created")
    return expanded(call, item)


def create_invoice(call: Call) -> JsonObject:
    """Draft an invoice of what is pending for a customer."""
    parameters, ledger = call.parameters, call.account.ledger
    check_played(parameters, INVOICE_CREATE)
    check_metadata(parameters.get("metadata") or {}, "metadata")
    customer = ledger.get("customer", parameters.get("customer", ""), "customer", 400)
    change = Change(call.account, call.cause)
    pending = ledger.select(ITEM, [(_PENDING[0], customer["id"])], ascending=True)
    items = pending if parameters.get("pending_invoice_items_behavior") == "include" else []
    currency = items[0]["currency"] if items else parameters.get("currency", "usd")
    bill = Bill("manual", customer, currency, (change.now, change.now), None, parameters)
    invoice = draft_invoice(change, bill, lambda invoice_id: [_line(call, invoice_id, item) for item in items])
    for item in items:
        ledger.put(item | {"invoice": invoice["id"]})
    return expanded(call, invoice)


def finalize(call: Call) -> JsonObject:
    """Ask for the money of a draft."""
    invoice = _in_status(call, "draft", "This invoice is already finalized, you can't re-finalize a non-draft invoice.")
    finalize_invoice(Change(call.account, call.cause), invoice)
    return expanded(call, invoice)


def pay(call: Call) -> JsonObject:
    """Charge an open invoice, or a draft, which is finalized first."""
    change, invoice = Change(call.account, call.cause), call.account.ledger.get(KIND, call.object_id)
    if invoice["status"] == "draft":
        finalize_invoice(change, invoice)
    elif invoice["status"] != "open":
        raise _refused("Invoice is already paid" if invoice["status"] == "paid" else f"Invoice is {invoice['status']}")
    method_id = _method(call, invoice)
    outcome = outcome_of(change, method_id)
    collect(change, invoice, outcome, method_id)
    if outcome is not Outcome.PAID:
        raise declined_error() if outcome is Outcome.DECLINED else action_error()
    return expanded(call, invoice)


def update_invoice(call: Call) -> JsonObject:
    """Change metadata, which an operator may have to mend; of a draft also its description."""
    check_played(call.parameters, INVOICE_UPDATE)
    invoice = call.account.ledger.get(KIND, call.object_id)
    if "description" in call.parameters and invoice["status"] != "draft":
        raise _refused("Finalized invoices can't be updated in this way")
    invoice["metadata"] = merged_metadata(invoice["metadata"], call.parameters.get("metadata"))
    invoice["description"] = call.parameters.get("description", invoice["description"])
    Change(call.account, call.cause).keep(invoice, "invoice.updated")
    return expanded(call, invoice)


def void(call: Call) -> JsonObject:
    """Take an open invoice back."""
    invoice = _in_status(call, "open", "You can only pass in open invoices. This invoice isn't open.")
    void_invoice(Change(call.account, call.cause), invoice)
    return expanded(call, invoice)


def give_up(call: Call) -> JsonObject:
    """Give an open invoice up."""
    invoice = _in_status(call, "open", "You can only pass in open invoices. This invoice isn't open.")
    mark_uncollectible(Change(call.account, call.cause), invoice)
    return expanded(call, invoice)


def _item(customer: str, price: JsonObject, parameters: JsonObject, now: int) -> JsonObject:
    return {
        "id": new_object_id("ii"),
        "object": ITEM,
        "amount": price["unit_amount"],
        "currency": price["currency"],
        "customer": customer,
        "customer_account": None,
        "date": now,
        "description": parameters.get("description"),
        "discountable": True,
        "discounts": [],
        "invoice": None,
        "livemode": False,
        "metadata": kept_metadata(parameters),
        "net_amount": price["unit_amount"],
        "parent": None,
        "period": {"end": now, "start": now},
        "pricing": {
            "price_details": {"price": price["id"], "product": price["product"]},
            "type": "price_details",
            "unit_amount_decimal": price["unit_amount_decimal"],
        },
        "proration": False,
        "quantity": 1,
        "quantity_decimal": "1",
        "tax_rates": [],
        "test_clock": None,
    }


def _line(call: Call, invoice_id: str, item: JsonObject) -> JsonObject:
    price = call.account.ledger.get("price", item["pricing"]["price_details"]["price"])
    billed = {"price": price, "quantity": 1, "description": item["description"], "metadata": item["metadata"]}
    return single_line(invoice_id, billed | {"invoice_item": item["id"]}, call.account.clock.seconds())


def _method(call: Call, invoice: JsonObject) -> str:
    customer = call.account.ledger.get("customer", invoice["customer"])
    named = call.parameters.get("payment_method") or customer["invoice_settings"]["default_payment_method"]
    if named is None:
        raise StripeApiError(
            "There is no `default_payment_method` set on this Customer or Invoice. Please set either prior to payment."
        )
    return str(payment_method(call.account, named)["id"])


def _in_status(call: Call, status: str, refusal: str) -> JsonObject:
    invoice = call.account.ledger.get(KIND, call.object_id)
    if invoice["status"] != status:
        raise _refused(refusal)
    return invoice


def _refused(message: str) -> StripeApiError:
    return StripeApiError(message, executed=True)
