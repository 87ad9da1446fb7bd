"""Checks a CreateCheckoutRequest and plans the order and Stripe's parameters from it; it calls nobody.

Everything that is wrong is named at once, by the path of the field.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from payments_service.checkout.amounts import amount_problem
from payments_service.checkout.redirect_urls import url_problem
from payments_service.contract.pb.payments.v1.order_pb2 import MODE_PAYMENT, MODE_SUBSCRIPTION, MODE_UNSPECIFIED, Mode
from payments_service.contract.pb.payments.v1.payments_pb2 import CreateCheckoutRequest
from payments_service.contract.pb.payments.v1.purchase_pb2 import LineItem, Recurrence
from payments_service.errors import FieldViolation, InvalidRequestError
from payments_service.orders.purchase_rules import purchase_violations
from payments_service.stripe_gateway.metadata import encode_purchase

MAX_ITEMS = 100
MAX_ID = 500
SLACK = timedelta(seconds=30)
SHORTEST, LONGEST = timedelta(minutes=30), timedelta(hours=24)
_INTERVALS = {
    Recurrence.INTERVAL_DAY: ("day", 1095),
    Recurrence.INTERVAL_WEEK: ("week", 156),
    Recurrence.INTERVAL_MONTH: ("month", 36),
    Recurrence.INTERVAL_YEAR: ("year", 3),
}
Violations = Iterator[FieldViolation]


@dataclass(frozen=True, slots=True)
class ReturnPages:
    """Where the bridge's own pages are, for callers who name none."""

    success_url: str
    cancel_url: str


def request_digest(request: CreateCheckoutRequest) -> bytes:
    """Digest the body, so that the same request id with another body is noticed."""
    return hashlib.sha256(request.SerializeToString(deterministic=True)).digest()


def check_request(request: CreateCheckoutRequest, now: datetime) -> None:
    """Raise InvalidRequestError with every violation; what Stripe alone can know is left to Stripe."""
    violations = [
        *_identity(request),
        *purchase_violations(request.purchase),
        *_line_items(request),
        *_urls(request),
        *_expiry(request, now),
        *_customer(request),
    ]
    if violations:
        raise InvalidRequestError(violations)


def checkout_mode(request: CreateCheckoutRequest) -> Mode.ValueType:
    """Give the mode: what was asked for, else a subscription where a price recurs."""
    if request.mode != MODE_UNSPECIFIED:
        return request.mode
    recurs = any(item.price_data.HasField("recurrence") for item in request.line_items)
    return MODE_SUBSCRIPTION if recurs else MODE_PAYMENT


def stripe_parameters(
    request: CreateCheckoutRequest, order_id: str, pages: ReturnPages, now: datetime
) -> dict[str, Any]:
    """Write what Stripe is asked for; stored with the order, so that a repetition asks for exactly the same."""
    mode = checkout_mode(request)
    metadata = encode_purchase(
        request.purchase, organization_id=request.organization_id, user_id=request.user_id, order_id=order_id
    )
    beside = "subscription_data" if mode == MODE_SUBSCRIPTION else "payment_intent_data"
    parameters: dict[str, Any] = {
        "mode": "subscription" if mode == MODE_SUBSCRIPTION else "payment",
        "client_reference_id": order_id,
        "line_items": [_stripe_item(item) for item in request.line_items],
        "success_url": request.success_url or pages.success_url,
        "cancel_url": request.cancel_url or pages.cancel_url,
        "metadata": metadata,
        beside: {"metadata": metadata},
    }
    if request.HasField("expire_time"):
        parameters["expires_at"] = _expires_at(request, now)
    if request.customer_id:
        parameters["customer"] = request.customer_id
    if request.customer_email:
        parameters["customer_email"] = request.customer_email
    if request.allow_promotion_codes:
        parameters["allow_promotion_codes"] = True
    if request.automatic_tax:
        parameters["automatic_tax"] = {"enabled": True}
    return parameters


def _identity(request: CreateCheckoutRequest) -> Violations:
    if not _is_uuid(request.request_id):
        yield FieldViolation("request_id", "must be a UUID that you make once for this checkout and repeat on retries")
    for name in ("organization_id", "user_id"):
        value = getattr(request, name)
        if not value.strip():
            yield FieldViolation(name, "is required")
        elif len(value) > MAX_ID:
            yield FieldViolation(name, f"has {len(value)} characters, at most {MAX_ID} fit into Stripe's metadata")


def _is_uuid(text: str) -> bool:
    try:
        return len(text) == 36 and bool(UUID(text))
    except ValueError:
        return False


def _line_items(request: CreateCheckoutRequest) -> Violations:
    if not request.line_items:
        yield FieldViolation("line_items", "needs at least one item")
    if len(request.line_items) > MAX_ITEMS:
        yield FieldViolation("line_items", f"has {len(request.line_items)} items, Stripe takes {MAX_ITEMS}")
    mode = checkout_mode(request)
    for number, item in enumerate(request.line_items):
        yield from _line_item(item, f"line_items[{number}]", mode)
    yield from _totals(request)


def _line_item(item: LineItem, path: str, mode: Mode.ValueType) -> Violations:
    if not 0 <= item.quantity <= 999_999:
        yield FieldViolation(f"{path}.quantity", "must be between 1 and 999999; 0 means 1")
    match item.WhichOneof("price"):
        case "price_id":
            if not item.price_id.strip():
                yield FieldViolation(f"{path}.price_id", "is empty: name one of Stripe's prices (price_...)")
        case "price_data":
            yield from _price_data(item, f"{path}.price_data", mode)
        case None:
            yield FieldViolation(path, "needs a price_id or a price_data")


def _price_data(item: LineItem, path: str, mode: Mode.ValueType) -> Violations:
    data = item.price_data
    if not data.product_name.strip():
        yield FieldViolation(f"{path}.product_name", "is required: the buyer sees it on the checkout page")
    problem = amount_problem(data.unit_amount.currency_code, data.unit_amount.minor_units, is_total=False)
    if problem:
        yield FieldViolation(f"{path}.unit_amount.{problem.part}", problem.text)
    if data.HasField("recurrence"):
        yield from _recurrence(data.recurrence, f"{path}.recurrence", mode)


def _recurrence(recurrence: Recurrence, path: str, mode: Mode.ValueType) -> Violations:
    if mode == MODE_PAYMENT:
        yield FieldViolation(path, "cannot be charged in MODE_PAYMENT: leave it out or use MODE_SUBSCRIPTION")
    if recurrence.interval not in _INTERVALS:
        yield FieldViolation(f"{path}.interval", "must be DAY, WEEK, MONTH or YEAR")
        return
    name, most = _INTERVALS[recurrence.interval]
    if not 0 <= recurrence.interval_count <= most:
        yield FieldViolation(f"{path}.interval_count", f"must be between 1 and {most} for a {name}: Stripe's 3 years")


def _totals(request: CreateCheckoutRequest) -> Violations:
    priced = [item for item in request.line_items if item.WhichOneof("price") == "price_data"]
    currencies = sorted({item.price_data.unit_amount.currency_code.upper() for item in priced})
    if len(currencies) > 1:
        yield FieldViolation("line_items", f"mixes the currencies {', '.join(currencies)}; a checkout has one")
        return
    if not priced or len(priced) < len(request.line_items):
        return
    recurs = any(item.price_data.HasField("recurrence") for item in priced)
    if checkout_mode(request) == MODE_SUBSCRIPTION and not recurs:
        yield FieldViolation("line_items", "MODE_SUBSCRIPTION needs an item that recurs")
    total = sum(item.price_data.unit_amount.minor_units * (item.quantity or 1) for item in priced)
    problem = amount_problem(currencies[0], total, is_total=True)
    if problem and problem.part == "minor_units" and total != 0:
        yield FieldViolation("line_items", f"the total {problem.text}")


def _urls(request: CreateCheckoutRequest) -> Violations:
    for name in ("success_url", "cancel_url"):
        value = getattr(request, name)
        problem = url_problem(value) if value else None
        if problem:
            yield FieldViolation(name, problem)


def _expiry(request: CreateCheckoutRequest, now: datetime) -> Violations:
    if not request.HasField("expire_time"):
        return
    ahead = request.expire_time.ToNanoseconds() / 1e9 - now.timestamp()
    if not (SHORTEST - SLACK).total_seconds() <= ahead <= (LONGEST + SLACK).total_seconds():
        yield FieldViolation("expire_time", "must be between 30 minutes and 24 hours ahead; leave it out for 24 hours")


def _expires_at(request: CreateCheckoutRequest, now: datetime) -> int:
    """Keep clear of Stripe's bounds by half a minute: the request is on its way for a while."""
    asked = request.expire_time.seconds
    earliest, latest = now + SHORTEST + SLACK, now + LONGEST - SLACK
    return min(max(asked, int(earliest.timestamp())), int(latest.timestamp()))


def _customer(request: CreateCheckoutRequest) -> Violations:
    if request.customer_id and request.customer_email:
        yield FieldViolation("customer_email", "cannot be given beside customer_id: Stripe takes one of the two")
    if request.customer_id and not request.customer_id.startswith("cus_"):
        yield FieldViolation("customer_id", "must be a Stripe customer's id (cus_...)")
    local, at, domain = request.customer_email.partition("@")
    if request.customer_email and not (local and at and "." in domain and len(request.customer_email) <= 512):
        yield FieldViolation("customer_email", "is not an e-mail address")


def _stripe_item(item: LineItem) -> dict[str, Any]:
    quantity = {"quantity": item.quantity or 1}
    if item.WhichOneof("price") == "price_id":
        return {"price": item.price_id, **quantity}
    data = item.price_data
    product = {"name": data.product_name}
    if data.product_description:
        product["description"] = data.product_description
    price: dict[str, Any] = {
        "currency": data.unit_amount.currency_code.lower(),
        "unit_amount": data.unit_amount.minor_units,
        "product_data": product,
    }
    if data.HasField("recurrence"):
        name, _ = _INTERVALS[data.recurrence.interval]
        price["recurring"] = {"interval": name, "interval_count": data.recurrence.interval_count or 1}
    return {"price_data": price, **quantity}
