"""The client's own types: they say all that the contract says, and survive what a newer service says."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from payments_client import (
    Course,
    Custom,
    DigitalGood,
    EventType,
    LineItem,
    Mode,
    Money,
    PaymentState,
    Purchase,
    Service,
)
from payments_client.enum_names import DESCRIPTORS, member_of, number_of
from payments_client.message_reading import read_order, read_purchase
from payments_client.message_writing import purchase_message, timestamp
from payments_client.pb.payments.v1 import order_pb2, purchase_pb2

from payments_service.contract.pb.payments.v1 import order_pb2 as service_order_pb2
from stripe_sandbox.currencies import THREE_DECIMAL, ZERO_DECIMAL, decimals

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_every_value_of_every_enum_of_the_contract_has_its_member() -> None:
    for kind, descriptor in DESCRIPTORS.items():
        members = [member_of(kind, value.number) for value in descriptor.values]

        assert kind("UNRECOGNIZED") not in members
        assert {*members, kind("UNRECOGNIZED")} == set(kind)
        assert [number_of(member) for member in members] == [value.number for value in descriptor.values]


def test_a_value_that_a_newer_service_invented_is_unrecognized_and_cannot_be_sent() -> None:
    order = read_order(order_pb2.Order(order_id="ord_1", payment_state=99))  # type: ignore[arg-type]  # not known yet

    assert order.payment_state is PaymentState.UNRECOGNIZED
    assert member_of(EventType, 99) is EventType.UNRECOGNIZED
    with pytest.raises(ValueError, match=r"PaymentState\.UNRECOGNIZED cannot be sent"):
        number_of(order.payment_state)


@pytest.mark.parametrize(
    "purchase",
    [
        Course("sql", "spring"),
        DigitalGood("ebook-7", 3),
        Service("haircut", NOON),
        Service("haircut"),
        Custom("gift_card", "g1", {"design": "roses"}),
    ],
    ids=repr,
)
def test_every_purchase_comes_back_as_it_went(purchase: Purchase) -> None:
    assert read_purchase(purchase_message(purchase)) == purchase


def test_a_purchase_that_is_not_known_here_is_none() -> None:
    assert read_purchase(purchase_pb2.Purchase()) is None


def test_what_is_absent_is_none() -> None:
    order = read_order(order_pb2.Order())

    assert (order.total, order.expire_time, order.purchase, order.mode) == (None, None, None, Mode.UNSPECIFIED)


@pytest.mark.parametrize("currency", ["EUR", *map(str.upper, sorted(ZERO_DECIMAL | THREE_DECIMAL))])
def test_money_has_the_decimals_of_its_currency(currency: str) -> None:
    assert Money(currency, 12345).amount == Decimal(12345).scaleb(-decimals(currency.lower()))


def test_money_is_written_for_people_and_read_from_decimals_never_from_floats() -> None:
    assert [str(Money(code, 123450)) for code in ("EUR", "JPY", "KWD")] == [
        "1,234.50 EUR",
        "123,450 JPY",
        "123.450 KWD",
    ]
    assert Money.of("EUR", "10.50") == Money("EUR", 1050)
    assert Money.of("JPY", 1050) == Money("JPY", 1050)
    with pytest.raises(ValueError, match="EUR has 2 decimals"):
        Money.of("EUR", "10.505")
    with pytest.raises(TypeError, match="float"):
        Money.of("EUR", 10.5)  # type: ignore[arg-type]  # what is to be refused


def test_a_line_item_has_one_price() -> None:
    with pytest.raises(ValueError, match="either a price_id"):
        LineItem("SQL", Money("EUR", 1), price_id="price_1")
    with pytest.raises(ValueError, match="either a price_id"):
        LineItem()


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        timestamp(datetime(2026, 1, 1))  # noqa: DTZ001


def test_both_sets_of_stubs_are_one_contract_so_that_they_live_in_one_process() -> None:
    assert order_pb2.DESCRIPTOR.serialized_pb == service_order_pb2.DESCRIPTOR.serialized_pb
    assert service_order_pb2.Order.DESCRIPTOR is order_pb2.Order.DESCRIPTOR
