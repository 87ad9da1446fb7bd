"""Requests for checkouts: one that is right, and any that a caller could send."""

from datetime import UTC, datetime
from typing import Any, cast

from hypothesis import strategies as st

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

NOW = datetime(2027, 1, 15, 12, 0, tzinfo=UTC)
MONTHLY = Recurrence(interval=Recurrence.INTERVAL_MONTH)
REQUEST_ID = "2b8f0c5e-6c1c-4a8e-9b43-6f9f3f0f8a11"


def priced(currency: str = "USD", units: int = 4_900, name: str = "Intro to SQL", **changes: object) -> LineItem:
    """Give an item whose price is in the request."""
    recurrence = cast("Recurrence | None", changes.pop("recurrence", None))
    data = PriceData(
        unit_amount=Money(currency_code=currency, minor_units=units), product_name=name, recurrence=recurrence
    )
    return LineItem(price_data=data, **cast("Any", changes))


def checkout(**changes: object) -> CreateCheckoutRequest:
    """Give a request that is right but for the changes."""
    fields: dict[str, Any] = {
        "request_id": REQUEST_ID,
        "organization_id": "org_1",
        "user_id": "user_1",
        "purchase": Purchase(course=CoursePurchase(course_id="intro-to-sql")),
        "line_items": [priced()],
    }
    return CreateCheckoutRequest(**(fields | changes))


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ids = st.one_of(st.text("abc-_1", min_size=1, max_size=10), texts)
currencies = st.sampled_from(["USD", "EUR", "eur", "JPY", "KWD", "ISK", "HUF", "CLP", "XX", "ßa"])
amounts = st.one_of(
    st.sampled_from([0, 1, 30, 49, 50, 100, 4_900, 17_500, 99_999_999]), st.integers(-(2**63), 2**63 - 1)
)
recurrences = st.builds(
    Recurrence,
    interval=st.sampled_from([0, 1, 2, 3, 4, 7]),
    interval_count=st.sampled_from([-1, 0, 1, 3, 36, 37, 1095, 1096]),
)


@st.composite
def line_items(draw: st.DrawFn) -> LineItem:
    """Give an item that may be wrong in anything."""
    quantity = draw(st.sampled_from([-1, 0, 1, 2, 1_000, 999_999, 1_000_000]))
    if draw(st.integers(0, 9)) == 0:
        return LineItem(price_id=draw(ids), quantity=quantity)
    item = priced(draw(currencies), draw(amounts), draw(ids), quantity=quantity)
    item.price_data.product_description = draw(texts)
    if draw(st.booleans()):
        item.price_data.recurrence.CopyFrom(draw(recurrences))
    return item


@st.composite
def services(draw: st.DrawFn) -> ServicePurchase:
    """Give a service, perhaps at an impossible time."""
    service = ServicePurchase(service_id=draw(ids))
    if draw(st.booleans()):
        service.scheduled_time.seconds = draw(st.integers(-(2**63), 2**63 - 1))
        service.scheduled_time.nanos = draw(st.integers(-(2**31), 2**31 - 1))
    return service


purchases = st.one_of(
    st.builds(Purchase),
    st.builds(CoursePurchase, course_id=ids, cohort_id=texts).map(lambda c: Purchase(course=c)),
    st.builds(DigitalGoodPurchase, sku=ids, seats=st.integers(-2, 9)).map(lambda d: Purchase(digital_good=d)),
    services().map(lambda s: Purchase(service=s)),
    st.builds(CustomPurchase, type=ids, custom_id=texts, attributes=st.dictionaries(texts, texts, max_size=4)).map(
        lambda c: Purchase(custom=c)
    ),
)
urls = st.sampled_from(
    ["", "https://shop.example/a?s={CHECKOUT_SESSION_ID}", "http://localhost:1/x", "http://shop.example", "shop"]
)


@st.composite
def requests(draw: st.DrawFn, now: datetime = NOW) -> CreateCheckoutRequest:
    """Give a request that may be wrong in anything, and is right often enough."""
    request = checkout(
        organization_id=draw(ids),
        user_id=draw(ids),
        purchase=draw(purchases),
        line_items=draw(st.lists(line_items(), max_size=3)),
        mode=draw(st.sampled_from([0, 0, 1, 2, 9])),
        success_url=draw(urls),
        cancel_url=draw(urls),
        customer_email=draw(st.sampled_from(["", "", "ada@example.com", "ada@", "a b@example.com", "@example.com"])),
        allow_promotion_codes=draw(st.booleans()),
    )
    if draw(st.booleans()):
        minutes = draw(st.one_of(st.sampled_from([29, 30, 60, 24 * 60, 24 * 60 + 1]), st.integers(-(2**40), 2**40)))
        request.expire_time.seconds = int(now.timestamp()) + minutes * 60
    return request
