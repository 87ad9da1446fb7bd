"""What Stripe is asked for: exactly what was wished, with the typed purchase wherever it is needed later."""

from datetime import timedelta

import pytest
from checkout_requests import MONTHLY, NOW, checkout, priced

from payments_service.checkout.checkout_request import ReturnPages
from payments_service.checkout.session_parameters import session_parameters
from payments_service.contract.pb.payments.v1.payments_pb2 import CreateCheckoutRequest
from payments_service.contract.pb.payments.v1.purchase_pb2 import LineItem, Recurrence

PAGES = ReturnPages("https://pay.example/return?session_id={CHECKOUT_SESSION_ID}", "https://pay.example/cancelled")
METADATA = {
    "payments_schema": "1",
    "type": "course",
    "organization_id": "org_1",
    "user_id": "user_1",
    "order_id": "ord_1",
    "purchase.course_id": "intro-to-sql",
}


def parameters(request: CreateCheckoutRequest) -> dict[str, object]:
    return session_parameters(request, "ord_1", PAGES, NOW)


def test_a_plain_request_asks_for_nothing_more() -> None:
    price = {"currency": "usd", "unit_amount": 4900, "product_data": {"name": "Intro to SQL"}}

    assert parameters(checkout()) == {
        "mode": "payment",
        "client_reference_id": "ord_1",
        "line_items": [{"price_data": price, "quantity": 1}],
        "success_url": PAGES.success_url,
        "cancel_url": PAGES.cancel_url,
        "metadata": METADATA,
        "payment_intent_data": {"metadata": METADATA},
    }


def test_a_subscription_carries_its_metadata_itself() -> None:
    asked = parameters(checkout(line_items=[priced(recurrence=MONTHLY)]))

    assert asked["mode"] == "subscription"
    assert asked["subscription_data"] == {"metadata": METADATA}
    assert "payment_intent_data" not in asked


def test_items_keep_their_order_quantity_and_wording() -> None:
    yearly = Recurrence(interval=Recurrence.INTERVAL_YEAR, interval_count=2)
    described = priced("EUR", 100, "Club", quantity=3, recurrence=yearly)
    described.price_data.product_description = "All of it"

    assert parameters(checkout(line_items=[LineItem(price_id="price_1", quantity=2), described]))["line_items"] == [
        {"price": "price_1", "quantity": 2},
        {
            "price_data": {
                "currency": "eur",
                "unit_amount": 100,
                "product_data": {"name": "Club", "description": "All of it"},
                "recurring": {"interval": "year", "interval_count": 2},
            },
            "quantity": 3,
        },
    ]


def test_wishes_are_passed_on() -> None:
    asked = parameters(
        checkout(
            success_url="https://shop.example/s",
            cancel_url="https://shop.example/c",
            customer_id="cus_1",
            customer_email="ada@example.com",
            allow_promotion_codes=True,
            automatic_tax=True,
        )
    )

    assert (asked["success_url"], asked["cancel_url"]) == ("https://shop.example/s", "https://shop.example/c")
    assert (asked["customer"], asked["customer_email"]) == ("cus_1", "ada@example.com")
    assert (asked["allow_promotion_codes"], asked["automatic_tax"]) == (True, {"enabled": True})


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        (timedelta(minutes=29, seconds=40), timedelta(minutes=30, seconds=30)),
        (timedelta(minutes=30), timedelta(minutes=30, seconds=30)),
        (timedelta(hours=2), timedelta(hours=2)),
        (timedelta(hours=24), timedelta(hours=23, minutes=59, seconds=30)),
        (timedelta(hours=24, seconds=20), timedelta(hours=23, minutes=59, seconds=30)),
    ],
)
def test_an_expiry_keeps_clear_of_stripes_bounds(asked: timedelta, sent: timedelta) -> None:
    request = checkout()
    request.expire_time.FromDatetime(NOW + asked)

    assert parameters(request)["expires_at"] == int((NOW + sent).timestamp())
