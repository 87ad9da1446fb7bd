"""Money, times, states and purchases read as a person would say them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_service.cli.event_views import event_text
from payments_service.cli.money_text import minor_units, money_text
from payments_service.cli.plain_words import order_state, purchase_text, word
from payments_service.cli.terminal import clean
from payments_service.cli.time_text import pause_text, relative_text
from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent
from payments_service.contract.pb.payments.v1.order_pb2 import FulfillmentState, Order, PaymentState
from payments_service.contract.pb.payments.v1.purchase_pb2 import (
    CoursePurchase,
    CustomPurchase,
    DigitalGoodPurchase,
    Purchase,
    ServicePurchase,
)
from payments_service.contract.pb.payments.v1.stripe_event_pb2 import StripeEvent

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("currency", "units", "text"),
    [
        ("EUR", 1050, "10.50 EUR"),
        ("EUR", -5, "-0.05 EUR"),
        ("USD", 123456789, "1,234,567.89 USD"),
        ("JPY", 1050, "1,050 JPY"),
        ("BHD", 1050, "1.050 BHD"),
        ("", 0, ""),
    ],
)
def test_money_has_the_decimals_of_its_currency(currency: str, units: int, text: str) -> None:
    assert money_text(currency, units) == text


@given(st.sampled_from(["EUR", "JPY", "BHD"]), st.integers(min_value=0, max_value=99_999_999))
def test_money_that_was_written_is_read_back(currency: str, units: int) -> None:
    written = money_text(currency, units).removesuffix(f" {currency}").replace(",", "")

    assert minor_units(written, currency) == units


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(0), "now"),
        (timedelta(seconds=12), "12 s ago"),
        (timedelta(minutes=5), "5 min ago"),
        (timedelta(hours=-24, milliseconds=40), "in 24 h"),
        (timedelta(days=3), "3 d ago"),
    ],
)
def test_a_time_reads_by_how_long_ago_it_was(ago: timedelta, text: str) -> None:
    assert relative_text(NOW - ago, NOW) == text


@pytest.mark.parametrize(
    ("pause", "text"),
    [
        (timedelta(milliseconds=21), "21 ms"),
        (timedelta(seconds=1.7), "1.7 s"),
        (timedelta(minutes=2), "2 min"),
    ],
)
def test_a_pause_reads_as_short_as_it_was(pause: timedelta, text: str) -> None:
    assert pause_text(pause) == text


def test_states_are_words() -> None:
    assert word(PaymentState, PaymentState.PAYMENT_STATE_AWAITING_FUNDS) == "awaiting funds"
    assert word(StripeEvent.State, StripeEvent.STATE_APPLIED) == "applied"
    assert word(PaymentState, 0) == ""


def test_a_state_of_a_newer_service_is_still_shown() -> None:
    assert word(PaymentState, 99) == "unknown (99)"


def test_an_order_reads_by_its_money_and_its_fulfillment() -> None:
    order = Order(payment_state=PaymentState.PAYMENT_STATE_PAID)
    assert order_state(order).plain == "paid"

    order.fulfillment_state = FulfillmentState.FULFILLMENT_STATE_AWAITING_OWNER
    assert order_state(order).plain == "paid, awaiting owner"


@pytest.mark.parametrize(
    ("purchase", "text"),
    [
        (Purchase(course=CoursePurchase(course_id="sql", cohort_id="c1")), "course sql, cohort c1"),
        (Purchase(digital_good=DigitalGoodPurchase(sku="ebook", seats=3)), "digital good ebook x 3"),
        (Purchase(service=ServicePurchase(service_id="call")), "service call"),
        (Purchase(custom=CustomPurchase(type="gift_card")), "gift_card"),
        (Purchase(), ""),
    ],
)
def test_a_purchase_reads_as_what_is_bought(purchase: Purchase, text: str) -> None:
    assert purchase_text(purchase) == text


def test_what_came_from_elsewhere_cannot_move_the_cursor() -> None:
    assert clean("a\x1b[2Jb\x9bc\u202ed\ne\tf") == "a�[2Jb�c�d e f"


@pytest.mark.parametrize("event_type", [value for value in FulfillmentEvent.Type.values() if value])
def test_each_event_of_the_stream_is_one_line_and_two_on_a_narrow_terminal(event_type: int) -> None:
    event = FulfillmentEvent(type=event_type, order_id="ord_1", organization_id="org_1")  # type: ignore[arg-type]
    event.fulfillment.fulfillment_id = "ful_1"

    one_line = event_text(event, NOW, one_line=True).plain
    narrow = event_text(event, NOW, one_line=False).plain

    assert word(FulfillmentEvent.Type, event_type) in one_line
    assert "ord_1" in one_line
    assert "\n" not in one_line
    assert narrow.split() == one_line.split()


def test_an_owner_is_shown_the_fulfillment_to_answer_for() -> None:
    event = FulfillmentEvent(type=FulfillmentEvent.TYPE_FULFILLMENT_REQUESTED, order_id="ord_1")
    event.fulfillment.fulfillment_id = "ful_1"

    assert "ful_1" in event_text(event, NOW, one_line=True).plain


def test_an_event_that_is_not_ours_is_shown_by_what_stripe_calls_it() -> None:
    event = FulfillmentEvent(type=FulfillmentEvent.TYPE_UNCLAIMED)
    event.unclaimed.stripe_type, event.unclaimed.stripe_event_id = "invoice.paid", "evt_1"

    assert event_text(event, NOW, one_line=True).plain.split() == ["unclaimed", "invoice.paid", "evt_1"]
