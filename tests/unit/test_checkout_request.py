"""A request for a checkout: every mistake is named by the path of its field, all at once."""

import contextlib
from datetime import timedelta

import pytest
from checkout_requests import MONTHLY, NOW, checkout, priced, requests
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given

from payments_service.checkout.checkout_request import ReturnPages, check_request, request_digest
from payments_service.checkout.line_item_rules import checkout_mode
from payments_service.checkout.session_parameters import session_parameters
from payments_service.contract.pb.payments.v1.order_pb2 import MODE_PAYMENT, MODE_SUBSCRIPTION
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
from payments_service.errors import InvalidRequestError
from payments_service.rpc.request_rules import read_request
from payments_service.stripe_gateway.metadata import decode_purchase

PAGES = ReturnPages("https://pay.example/return?session_id={CHECKOUT_SESSION_ID}", "https://pay.example/cancelled")


def violations(request: CreateCheckoutRequest) -> dict[str, str]:
    try:
        check_request(request, NOW)
    except InvalidRequestError as error:
        return {violation.field: violation.description for violation in error.violations}
    return {}


def ahead(delta: timedelta) -> Timestamp:
    time = Timestamp()
    time.FromDatetime(NOW + delta)
    return time


def custom(**fields: object) -> Purchase:
    return Purchase(custom=CustomPurchase(**{"type": "gift_card", **fields}))  # type: ignore[arg-type]


RIGHT = {
    "as it is": checkout(),
    "a price of Stripe's": checkout(line_items=[LineItem(price_id="price_1")]),
    "a subscription": checkout(line_items=[priced(recurrence=MONTHLY)], mode=MODE_SUBSCRIPTION),
    "a subscription with a set-up fee": checkout(line_items=[priced(recurrence=MONTHLY), priced()]),
    "a subscription below the minimum, which is carried over": checkout(
        line_items=[priced(units=10, recurrence=MONTHLY)]
    ),
    "for nothing": checkout(line_items=[priced(units=0)]),
    "small prices that make a total": checkout(line_items=[priced(units=10, quantity=5)]),
    "a small price beside one of Stripe's": checkout(line_items=[priced(units=10), LineItem(price_id="price_1")]),
    "a currency of unknown minimum": checkout(line_items=[priced("CLP", 1)]),
    "100 items": checkout(line_items=[priced()] * 100),
    "a known customer": checkout(customer_id="cus_1"),
    "an address": checkout(customer_email="ada@mail.example.com"),
    "half an hour": checkout(expire_time=ahead(timedelta(minutes=30))),
    "a day": checkout(expire_time=ahead(timedelta(hours=24))),
    "an id in capitals": checkout(request_id="2B8F0C5E-6C1C-4A8E-9B43-6F9F3F0F8A11"),
    "attributes": checkout(purchase=custom(attributes={"amount": "50", "note": "Für\nAda"})),
    "pages of its own": checkout(success_url="https://shop.example/s?id={CHECKOUT_SESSION_ID}"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_is_taken(name: str) -> None:
    assert violations(RIGHT[name]) == {}


WRONG = [
    ("request_id", "", "UUID"),
    ("request_id", "1", "UUID"),
    ("request_id", "{2b8f0c5e6c1c4a8e9b436f9f3f0f8a11}", "UUID"),
    ("request_id", "2b8f0c5e6c1c4a8e9b436f9f3f0f8a11", "UUID"),
    ("organization_id", "", "required"),
    ("organization_id", "  ", "required"),
    ("organization_id", "a\nb", "printed"),
    ("organization_id", "x" * 501, "501 characters"),
    ("user_id", "", "required"),
    ("user_id", "x" * 501, "501 characters"),
    ("mode", 7, "MODE_PAYMENT"),
    ("success_url", "shop", "https://"),
    ("success_url", "http://shop.example", "https"),
    ("cancel_url", "javascript:alert(1)", "https://"),
    ("expire_time", ahead(timedelta(minutes=29)), "30 minutes"),
    ("expire_time", ahead(timedelta(hours=24, minutes=1)), "24 hours"),
    ("expire_time", ahead(timedelta(hours=-1)), "30 minutes"),
    ("expire_time", Timestamp(), "30 minutes"),
    ("expire_time", Timestamp(seconds=2**62), "24 hours"),
    ("customer_id", "ada", "cus_"),
    ("customer_email", "ada", "e-mail"),
    ("customer_email", "ada@", "e-mail"),
    ("customer_email", "ada@localhost", "e-mail"),
    ("customer_email", "ada@example..com", "e-mail"),
    ("customer_email", "ada@@example.com", "e-mail"),
    ("customer_email", "a da@example.com", "e-mail"),
    ("customer_email", "a" * 512 + "@example.com", "e-mail"),
    ("line_items", [], "at least one"),
    ("line_items", [priced()] * 101, "Stripe takes 100"),
    ("line_items", [priced(recurrence=MONTHLY)] * 41, "Stripe takes 40"),
    ("line_items", [priced("USD"), priced("EUR")], "mixes the currencies EUR, USD"),
    ("line_items", [priced(units=49)], "least that Stripe charges in USD is 50"),
    ("line_items", [priced("HUF", 17_499)], "HUF"),
    ("line_items", [priced(units=99_999_999, quantity=2)], "most that Stripe charges"),
    ("line_items", [priced(units=99_999_999, recurrence=MONTHLY), priced(units=1)], "most that Stripe charges"),
    ("line_items", [priced(units=99_999_999, quantity=2), LineItem(price_id="price_1")], "most that Stripe charges"),
    ("purchase", Purchase(), "required"),
    ("purchase", custom(attributes={f"key{n}": "x" for n in range(50)}), "50"),
]


@pytest.mark.parametrize(("field", "value", "text"), WRONG)
def test_what_is_wrong_is_named(field: str, value: object, text: str) -> None:
    found = violations(checkout(**{field: value}))

    assert list(found) == [field]
    assert text in found[field]


WRONG_WITHIN = [
    ("line_items[1]", {"line_items": [priced(), LineItem()]}),
    ("line_items[0].quantity", {"line_items": [priced(quantity=-1)]}),
    ("line_items[0].quantity", {"line_items": [LineItem(price_id="price_1", quantity=1_000_000)]}),
    ("line_items[1].price_id", {"line_items": [priced(), LineItem(price_id=" ")]}),
    ("line_items[0].price_data.product_name", {"line_items": [priced(name="")]}),
    ("line_items[0].price_data.unit_amount.currency_code", {"line_items": [priced("EURO")]}),
    ("line_items[0].price_data.unit_amount.minor_units", {"line_items": [priced(units=-1)]}),
    ("line_items[0].price_data.unit_amount.minor_units", {"line_items": [priced("KWD", 1_234)]}),
    ("line_items[0].price_data.recurrence", {"line_items": [priced(recurrence=MONTHLY)], "mode": MODE_PAYMENT}),
    ("line_items[0].price_data.recurrence.interval", {"line_items": [priced(recurrence=Recurrence())]}),
    (
        "line_items[0].price_data.recurrence.interval_count",
        {"line_items": [priced(recurrence=Recurrence(interval=Recurrence.INTERVAL_YEAR, interval_count=4))]},
    ),
    ("customer_email", {"customer_id": "cus_1", "customer_email": "ada@example.com"}),
    ("line_items", {"mode": MODE_SUBSCRIPTION}),
    ("purchase.course.course_id", {"purchase": Purchase(course=CoursePurchase())}),
    ("purchase.course.cohort_id", {"purchase": Purchase(course=CoursePurchase(course_id="a", cohort_id="x" * 501))}),
    ("purchase.digital_good.sku", {"purchase": Purchase(digital_good=DigitalGoodPurchase())}),
    ("purchase.digital_good.seats", {"purchase": Purchase(digital_good=DigitalGoodPurchase(sku="a", seats=-1))}),
    ("purchase.service.service_id", {"purchase": Purchase(service=ServicePurchase())}),
    ("purchase.custom.type", {"purchase": custom(type="")}),
    ("purchase.custom.type", {"purchase": custom(type="course")}),
    ("purchase.custom.type", {"purchase": custom(type="x" * 501)}),
    ("purchase.custom.attributes[note]", {"purchase": custom(attributes={"note": "x" * 501})}),
    ("purchase.custom.attributes[note]", {"purchase": custom(attributes={"note": ""})}),
    ("purchase.custom.attributes[a[b]]", {"purchase": custom(attributes={"a[b]": "x"})}),
    ("purchase.custom.attributes[]", {"purchase": custom(attributes={"": "x"})}),
    (f"purchase.custom.attributes[{'k' * 40}]", {"purchase": custom(attributes={"k" * 40: "x"})}),
]


@pytest.mark.parametrize(("path", "changes"), WRONG_WITHIN)
def test_what_is_wrong_deeper_down_is_named_by_its_path(path: str, changes: dict[str, object]) -> None:
    assert list(violations(checkout(**changes))) == [path]


def test_everything_that_is_wrong_is_named_at_once() -> None:
    found = violations(CreateCheckoutRequest(success_url="shop", customer_id="ada"))

    assert list(found) == [
        "request_id",
        "organization_id",
        "user_id",
        "purchase",
        "line_items",
        "success_url",
        "customer_id",
    ]


def test_limits_of_metadata_are_named_beside_the_rest() -> None:
    found = violations(checkout(user_id="", organization_id="x" * 501, success_url="shop"))

    assert list(found) == ["user_id", "success_url", "organization_id"]


@given(requests())
def test_any_request_is_either_refused_by_field_or_can_be_sent(request: CreateCheckoutRequest) -> None:
    with contextlib.suppress(InvalidRequestError):
        read_request(CreateCheckoutRequest, request.SerializeToString())
        check_request(request, NOW)
        parameters = session_parameters(request, "ord_1", PAGES, NOW)
        assert decode_purchase(parameters["metadata"]) == request.purchase


@given(requests(), requests())
def test_digests_are_the_same_for_the_same_body_only(one: CreateCheckoutRequest, other: CreateCheckoutRequest) -> None:
    copy = CreateCheckoutRequest.FromString(one.SerializeToString())
    copy.request_id = "another"

    assert request_digest(copy) == request_digest(one)
    assert (request_digest(other) == request_digest(one)) == (other == one)


def test_the_order_of_attributes_makes_no_other_body() -> None:
    one = checkout(purchase=custom(attributes={"a": "1", "b": "2", "c": "3"}))
    other = checkout(purchase=custom(attributes={"c": "3", "b": "2", "a": "1"}))

    assert request_digest(one) == request_digest(other)


def test_digesting_leaves_the_request_as_it_is() -> None:
    request = checkout()
    request_digest(request)

    assert request == checkout()


def test_a_price_that_recurs_makes_a_subscription_unless_said_otherwise() -> None:
    recurring = PriceData(unit_amount=Money(currency_code="USD", minor_units=100), recurrence=MONTHLY)

    assert checkout_mode(checkout()) == MODE_PAYMENT
    assert checkout_mode(checkout(line_items=[priced(), LineItem(price_data=recurring)])) == MODE_SUBSCRIPTION
    assert checkout_mode(checkout(mode=MODE_SUBSCRIPTION)) == MODE_SUBSCRIPTION
