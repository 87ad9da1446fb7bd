"""Whatever a request says: it is refused by field, or Stripe makes a session that gives back the same purchase."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from payments_service.checkout.amounts import MAXIMUM
from payments_service.contract.pb.payments.v1.order_pb2 import MODE_PAYMENT, MODE_SUBSCRIPTION, MODE_UNSPECIFIED, Order
from payments_service.contract.pb.payments.v1.payments_pb2 import CreateCheckoutRequest
from payments_service.contract.pb.payments.v1.purchase_pb2 import (
    CoursePurchase,
    CustomPurchase,
    DigitalGoodPurchase,
    Money,
    PriceData,
    Purchase,
    Recurrence,
)
from payments_service.errors import InvalidRequestError
from payments_service.stripe_gateway.metadata import decode_purchase

from .checkout_shop import Shop

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
names = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=60)
filled = st.one_of(names, names, texts.filter(bool))
purchases = st.one_of(
    st.builds(CoursePurchase, course_id=filled, cohort_id=texts).map(lambda c: Purchase(course=c)),
    st.builds(DigitalGoodPurchase, sku=filled, seats=st.integers(0, 9)).map(lambda d: Purchase(digital_good=d)),
    st.builds(CustomPurchase, type=filled, custom_id=texts, attributes=st.dictionaries(texts, filled, max_size=3)).map(
        lambda c: Purchase(custom=c)
    ),
)
amounts = st.one_of(st.sampled_from([0, 10, 29, 30, 49, 50, 100, 4_900, MAXIMUM, MAXIMUM + 1]), st.integers(30, 20_000))
recurrences = st.builds(
    Recurrence, interval=st.sampled_from([1, 2, 3, 4]), interval_count=st.sampled_from([0, 1, 3, 4])
)


@st.composite
def requests(draw: st.DrawFn) -> CreateCheckoutRequest:
    """Give a request that is right more often than not, and otherwise wrong at a bound."""
    currency = draw(st.sampled_from(["USD", "usd", "EUR", "GBP", "JPY", "HUF", "KWD"]))
    recurs = draw(st.booleans())
    request = CreateCheckoutRequest(
        organization_id=draw(names),
        user_id=draw(filled),
        purchase=draw(purchases),
        mode=draw(st.sampled_from([MODE_UNSPECIFIED, MODE_SUBSCRIPTION if recurs else MODE_PAYMENT])),
        success_url=draw(st.sampled_from(["", "https://shop.example/s?id={CHECKOUT_SESSION_ID}", "http://[::1]/s#x"])),
        customer_email=draw(st.sampled_from(["", "", "", "a.b+c@mail.example.com", "ada@example..com"])),
        allow_promotion_codes=draw(st.booleans()),
    )
    for _ in range(draw(st.integers(1, 2))):
        price = PriceData(
            unit_amount=Money(currency_code=currency, minor_units=draw(amounts)),
            product_name=draw(filled),
            product_description=draw(texts),
            recurrence=draw(recurrences) if recurs else None,
        )
        request.line_items.add(price_data=price, quantity=draw(st.sampled_from([0, 1, 2])))
    return request


@settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(requests(), min_size=15, max_size=15), st.integers(29, 24 * 60 + 1))
async def test_what_is_taken_here_is_taken_by_stripe(
    shop: Shop, batch: list[CreateCheckoutRequest], minutes: int
) -> None:
    for request in batch:
        request.request_id = str(uuid4())
    batch[0].expire_time.FromDatetime(datetime.now(UTC) + timedelta(minutes=minutes))

    made = await asyncio.gather(*(shop.create(request) for request in batch), return_exceptions=True)

    for request, order in zip(batch, made, strict=True):
        if isinstance(order, InvalidRequestError):
            continue
        assert isinstance(order, Order), (request, order)
        session = await shop.read(f"checkout/sessions/{order.checkout_session_id}")
        assert decode_purchase(session["metadata"]) == order.purchase == request.purchase
