"""Turns the options of `payments checkout` into a request; what the service checks is left to the service."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import typer

from payments_service.cli.money_text import decimals, minor_units
from payments_service.cli.option_types import IntervalWord, KindWord
from payments_service.contract.pb.payments.v1.payments_pb2 import CreateCheckoutRequest
from payments_service.contract.pb.payments.v1.purchase_pb2 import (
    CoursePurchase,
    CustomPurchase,
    DigitalGoodPurchase,
    LineItem,
    Money,
    PriceData,
    Purchase,
    Recurrence,
    ServicePurchase,
)

_DEMO = {
    KindWord.COURSE: ("intro-to-sql", "Introduction to SQL"),
    KindWord.DIGITAL_GOOD: ("ebook-7", "Payments by Example, e-book"),
    KindWord.SERVICE: ("onboarding", "Onboarding call"),
    KindWord.CUSTOM: ("1001", "Gift card"),
}
_DEMO_MINOR_UNITS = 4_900
_ONLY_WITH = {
    "cohort": KindWord.COURSE,
    "seats": KindWord.DIGITAL_GOOD,
    "at": KindWord.SERVICE,
    "type": KindWord.CUSTOM,
    "attributes": KindWord.CUSTOM,
}
_OPTION = {"attributes": "--attribute"}


@dataclass(frozen=True, slots=True)
class CheckoutForm:
    """The options as they were given; empty where one was not."""

    organization: str
    user: str
    kind: KindWord
    item_id: str
    cohort: str
    seats: int
    at: datetime | None
    type: str
    attributes: Sequence[str]
    amount: str
    currency: str
    name: str
    price: str
    quantity: int
    every: IntervalWord | None
    success_url: str
    cancel_url: str
    email: str
    customer: str
    expires_in: int | None
    promotion_codes: bool
    automatic_tax: bool
    request_id: str


def checkout_request(form: CheckoutForm, now: datetime) -> CreateCheckoutRequest:
    """Fill in a request; raises typer.BadParameter where options do not go together."""
    request = CreateCheckoutRequest(
        request_id=form.request_id or str(uuid.uuid4()),
        organization_id=form.organization,
        user_id=form.user,
        purchase=_purchase(form),
        line_items=[_line_item(form)],
        success_url=form.success_url,
        cancel_url=form.cancel_url,
        customer_email=form.email,
        customer_id=form.customer,
        allow_promotion_codes=form.promotion_codes,
        automatic_tax=form.automatic_tax,
    )
    if form.expires_in is not None:
        request.expire_time.FromDatetime(now.astimezone(UTC) + timedelta(minutes=form.expires_in))
    return request


def pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    """Read `name=value` options; raises typer.BadParameter."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise typer.BadParameter(f"{text!r} is not name=value", param_hint=option)
        found[name] = value
    return found


def _purchase(form: CheckoutForm) -> Purchase:
    for name, kind in _ONLY_WITH.items():
        if getattr(form, name) and form.kind != kind:
            raise typer.BadParameter(f"goes with --kind {kind} only", param_hint=_OPTION.get(name, f"--{name}"))
    item_id = form.item_id or _DEMO[form.kind][0]
    match form.kind:
        case KindWord.COURSE:
            return Purchase(course=CoursePurchase(course_id=item_id, cohort_id=form.cohort))
        case KindWord.DIGITAL_GOOD:
            return Purchase(digital_good=DigitalGoodPurchase(sku=item_id, seats=form.seats))
        case KindWord.SERVICE:
            service = ServicePurchase(service_id=item_id)
            if form.at:
                service.scheduled_time.FromDatetime(form.at.astimezone(UTC))
            return Purchase(service=service)
        case KindWord.CUSTOM:
            attributes = pairs(form.attributes, "--attribute")
            custom = CustomPurchase(type=form.type or "gift_card", custom_id=item_id, attributes=attributes)
            return Purchase(custom=custom)


def _line_item(form: CheckoutForm) -> LineItem:
    if form.price:
        if form.amount or form.name or form.every:
            raise typer.BadParameter("brings its own amount, name and interval: leave those out", param_hint="--price")
        return LineItem(price_id=form.price, quantity=form.quantity)
    price_data = PriceData(unit_amount=_amount(form), product_name=form.name or _DEMO[form.kind][1])
    if form.every:
        interval = Recurrence.Interval.Value(f"INTERVAL_{form.every.upper()}")
        price_data.recurrence.CopyFrom(Recurrence(interval=interval))
    return LineItem(price_data=price_data, quantity=form.quantity)


def _amount(form: CheckoutForm) -> Money:
    currency = form.currency.upper()
    if not form.amount:
        scale = 10 ** max(decimals(currency) - 2, 0)
        return Money(currency_code=currency, minor_units=_DEMO_MINOR_UNITS * scale)
    try:
        return Money(currency_code=currency, minor_units=minor_units(form.amount, currency))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--amount") from error
