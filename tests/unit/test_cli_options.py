"""What the command line takes becomes a request, or a complaint that names the option."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from payments_service.cli import option_types
from payments_service.cli.app import app
from payments_service.cli.call_target import CallTarget, call_target
from payments_service.cli.checkout_form import CheckoutForm, checkout_request
from payments_service.cli.option_types import IntervalWord, KindWord
from payments_service.cli.plain_words import number
from payments_service.cli.stream_tail import start_position
from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent, StartPosition
from payments_service.contract.pb.payments.v1.order_pb2 import FulfillmentState, PaymentState
from payments_service.contract.pb.payments.v1.purchase_pb2 import Money, Purchase, Recurrence
from payments_service.contract.pb.payments.v1.stripe_event_pb2 import StripeEvent
from payments_service.errors import ConfigurationError
from payments_service.settings import read_settings

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NOTHING: dict[str, Any] = {
    "organization": "org_1",
    "user": "user_1",
    "kind": KindWord.COURSE,
    "item_id": "",
    "cohort": "",
    "seats": 0,
    "at": None,
    "type": "",
    "attributes": (),
    "amount": "",
    "currency": "EUR",
    "name": "",
    "price": "",
    "quantity": 1,
    "every": None,
    "success_url": "",
    "cancel_url": "",
    "email": "",
    "customer": "",
    "expires_in": None,
    "promotion_codes": False,
    "automatic_tax": False,
    "request_id": "",
}


def form(**options: object) -> CheckoutForm:
    return CheckoutForm(**(NOTHING | options))


@pytest.mark.parametrize(
    ("words", "enum"),
    [
        (option_types.PaymentWord, PaymentState),
        (option_types.FulfillmentWord, FulfillmentState),
        (option_types.StripeEventWord, StripeEvent.State),
        (option_types.EventTypeWord, FulfillmentEvent.Type),
        (option_types.IntervalWord, Recurrence.Interval),
    ],
)
def test_there_is_a_word_for_each_value_of_the_contract(words: Any, enum: Any) -> None:  # noqa: ANN401
    assert {number(enum, word) for word in words} == set(enum.values()) - {0}


def test_there_is_a_word_for_each_kind_of_purchase() -> None:
    kinds = {checkout_request(form(kind=kind), NOW).purchase.WhichOneof("kind") for kind in KindWord}

    assert kinds == {field.name for field in Purchase.DESCRIPTOR.oneofs_by_name["kind"].fields}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"seats": 3}, "goes with --kind digital-good only"),
        ({"cohort": "c", "kind": KindWord.SERVICE}, "goes with --kind course only"),
        ({"amount": "10.505"}, "more decimals than EUR has"),
        ({"amount": "nan"}, "is no amount"),
        ({"amount": "ten"}, "is no amount"),
        ({"amount": "1.5", "currency": "jpy"}, "more decimals than JPY has"),
        ({"kind": KindWord.CUSTOM, "attributes": ("x",)}, "is not name=value"),
        ({"price": "price_1", "amount": "5"}, "leave those out"),
        ({"price": "price_1", "every": IntervalWord.MONTH}, "leave those out"),
    ],
)
def test_options_that_do_not_go_together_are_named(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(typer.BadParameter, match=complaint):
        checkout_request(form(**options), NOW)


@pytest.mark.parametrize(
    ("amount", "currency", "minor_units"),
    [("", "EUR", 4900), ("", "JPY", 4900), ("", "BHD", 49000), ("10.50", "eur", 1050), ("1500", "JPY", 1500)],
)
def test_an_amount_is_counted_as_stripe_counts_it(amount: str, currency: str, minor_units: int) -> None:
    request = checkout_request(form(amount=amount, currency=currency), NOW)

    expected = Money(currency_code=currency.upper(), minor_units=minor_units)
    assert request.line_items[0].price_data.unit_amount == expected


def test_each_checkout_has_a_request_id_of_its_own_unless_one_is_given() -> None:
    first, second = (checkout_request(form(), NOW) for _ in range(2))

    assert first.request_id != second.request_id
    assert checkout_request(form(request_id="r"), NOW).request_id == "r"


def test_what_recurs_and_what_expires_is_passed_on() -> None:
    request = checkout_request(form(every=IntervalWord.MONTH, expires_in=30), NOW)

    assert request.line_items[0].price_data.recurrence.interval == Recurrence.INTERVAL_MONTH
    assert request.expire_time.ToDatetime(tzinfo=UTC) == NOW + timedelta(minutes=30)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("earliest", StartPosition(earliest=True)),
        ("latest", StartPosition(latest=True)),
        ("AQL/-w==", StartPosition(cursor=b"\x01\x02\xff\xfb")),
        ("AQL_-w==", StartPosition(cursor=b"\x01\x02\xff\xfb")),
    ],
)
def test_a_stream_starts_where_it_is_told(text: str, position: StartPosition) -> None:
    assert start_position(text) == position


def test_a_stream_starts_at_a_time() -> None:
    assert start_position("2026-11-24T12:00:00Z").time.ToDatetime(tzinfo=UTC) == NOW


@pytest.mark.parametrize("text", ["", "yesterday!", "AQL"])
def test_a_start_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="neither earliest, latest"):
        start_position(text)


@pytest.mark.parametrize(
    ("settings", "address", "secure"),
    [
        ({}, "127.0.0.1:50051", False),
        ({"grpc_address": "127.0.0.1:7"}, "127.0.0.1:7", False),
        ({"target": "pay.example:7"}, "pay.example:7", False),
        ({"target": "http://pay.example:7/"}, "pay.example:7", False),
        ({"target": "https://pay.example:7"}, "pay.example:7", True),
        ({"grpc_address": "0.0.0.0:7", "callers_file": "f", "plaintext": True}, "127.0.0.1:7", False),
    ],
)
def test_a_target_is_an_address_and_perhaps_tls(settings: dict[str, Any], address: str, secure: bool) -> None:
    assert call_target(read_settings(**settings)) == CallTarget(address, secure=secure)


@pytest.mark.parametrize(
    "target", ["pay.example", "pay.example:port", "ftp://pay.example:1", "://x:1", "pay.example:0"]
)
def test_a_target_that_is_none_is_named(target: str) -> None:
    with pytest.raises(ConfigurationError, match="PAYMENTS_TARGET"):
        call_target(read_settings(target=target))


def test_a_token_crosses_a_network_in_plain_text_only_where_that_is_said_out_loud() -> None:
    plain = {"target": "pay.example:7", "token": "t"}
    with pytest.raises(ConfigurationError, match="PAYMENTS_PLAINTEXT=1"):
        call_target(read_settings(**plain))

    assert call_target(read_settings(**plain, plaintext=True)).token == "t"
    assert call_target(read_settings(target="https://pay.example:7", token="t")).token == "t"
    assert call_target(read_settings(target="127.0.0.1:7", token="t")).token == "t"


@pytest.mark.parametrize("command", sorted(command.callback.__name__ for command in app.registered_commands))  # type: ignore[union-attr]
def test_each_command_explains_itself_and_speaks_json(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "120"})

    assert shown.exit_code == 0
    assert "--json" in shown.output
