"""What a return page says of each order, how often it looks again, and how often that may reach Stripe."""

import pytest

from payments_service.contract.pb.payments.v1.order_pb2 import Order
from payments_service.contract.pb.payments.v1.purchase_pb2 import Money
from payments_service.orders.states import FulfillmentState, PaymentState
from webhook_bridge.order_progress import MOVING, Progress, progress_of
from webhook_bridge.page_rendering import RELOADS, Visit
from webhook_bridge.page_texts import ORDER_TEXTS
from webhook_bridge.price_text import price_text
from webhook_bridge.refresh_limit import A_SECOND, AT_ONCE, REMEMBERED, RefreshLimit


def order(payment: PaymentState, fulfillment: FulfillmentState = FulfillmentState.UNSPECIFIED) -> Order:
    return Order(payment_state=payment.value, fulfillment_state=fulfillment.value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("payment", "fulfillment", "progress"),
    [
        (PaymentState.OPEN, FulfillmentState.UNSPECIFIED, Progress.PROCESSING),
        (PaymentState.AWAITING_FUNDS, FulfillmentState.UNSPECIFIED, Progress.AWAITING_BANK),
        (PaymentState.PAID, FulfillmentState.PENDING, Progress.PAID),
        (PaymentState.PAID, FulfillmentState.AWAITING_OWNER, Progress.PAID),
        (PaymentState.PAID, FulfillmentState.FAILED, Progress.PAID),
        (PaymentState.PAID, FulfillmentState.FULFILLED, Progress.FULFILLED),
        (PaymentState.PARTIALLY_REFUNDED, FulfillmentState.FULFILLED, Progress.FULFILLED),
        (PaymentState.PAID, FulfillmentState.REVOKED, Progress.CLOSED),
        (PaymentState.FAILED, FulfillmentState.UNSPECIFIED, Progress.FAILED),
        (PaymentState.EXPIRED, FulfillmentState.UNSPECIFIED, Progress.EXPIRED),
        (PaymentState.REFUNDED, FulfillmentState.REVOKED, Progress.REFUNDED),
        (PaymentState.CHARGED_BACK, FulfillmentState.REVOKED, Progress.CLOSED),
    ],
)
def test_a_buyer_is_told_how_far_an_order_is(
    payment: PaymentState, fulfillment: FulfillmentState, progress: Progress
) -> None:
    assert progress_of(order(payment, fulfillment)) is progress


@pytest.mark.parametrize("payment", PaymentState)
@pytest.mark.parametrize("fulfillment", FulfillmentState)
def test_every_state_has_its_words(payment: PaymentState, fulfillment: FulfillmentState) -> None:
    assert ORDER_TEXTS[progress_of(order(payment, fulfillment))].title


def test_a_settled_order_is_not_looked_at_again() -> None:
    assert {Progress.PROCESSING, Progress.AWAITING_BANK, Progress.PAID} == MOVING


@pytest.mark.parametrize("slow", [False, True])
def test_a_page_looks_again_at_growing_intervals_and_comes_to_rest(slow: bool) -> None:
    seconds = [Visit("cs_test_1", count).reload_seconds(slow=slow) for count in range(RELOADS)]

    assert seconds == sorted(seconds, key=lambda second: second or 0)
    assert 1800 < sum(second or 0 for second in seconds) < 3700
    assert Visit("cs_test_1", RELOADS).reload_seconds(slow=slow) is None


@pytest.mark.parametrize(
    ("currency_code", "minor_units", "text"),
    [
        ("USD", 4900, "$49.00"),
        ("EUR", 123456, "€1,234.56"),
        ("CHF", 5, "CHF 0.05"),
        ("JPY", 12000, "¥12,000"),
        ("KWD", 12340, "KWD 12.340"),
        ("ISK", 50000, "ISK 500"),
    ],
)
def test_a_price_is_written_as_the_currency_is(currency_code: str, minor_units: int, text: str) -> None:
    assert price_text(Money(currency_code=currency_code, minor_units=minor_units)) == text


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        """Tell them."""
        return self.seconds


def asks(limit: RefreshLimit, session_id: str) -> bool:
    with limit.admit(session_id, 3.0) as admitted:
        return admitted


def test_stripe_is_asked_for_one_session_only_now_and_then() -> None:
    clock = Clock()
    limit = RefreshLimit(clock)

    assert [asks(limit, "cs_1"), asks(limit, "cs_1"), asks(limit, "cs_2")] == [True, False, True]
    clock.seconds += 3.0
    assert asks(limit, "cs_1")


def test_stripe_is_asked_for_only_a_few_sessions_at_once() -> None:
    clock = Clock()
    limit = RefreshLimit(clock)
    running = [limit.admit(f"cs_{number}", 3.0) for number in range(AT_ONCE)]
    for admission in running:
        assert admission.__enter__()

    clock.seconds += 2.0
    assert not asks(limit, "cs_more")
    running[0].__exit__(None, None, None)
    assert asks(limit, "cs_more")


def test_stripe_is_asked_for_only_a_few_sessions_a_second() -> None:
    clock = Clock()
    limit = RefreshLimit(clock)

    assert [asks(limit, f"cs_{number}") for number in range(A_SECOND + 1)] == [True] * A_SECOND + [False]
    clock.seconds += 1.0
    assert asks(limit, "cs_more")


def test_what_is_remembered_of_strangers_is_bounded() -> None:
    clock = Clock()
    limit = RefreshLimit(clock)
    for number in range(REMEMBERED + 10):
        clock.seconds += 1.0
        assert asks(limit, f"cs_{number}")

    assert len(limit._asked_at) == REMEMBERED
