"""A page token is read as it was made, for the filters it was made for, and anything else is refused."""

from datetime import UTC, datetime

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from payments_service.contract.pb.payments.v1.operations_pb2 import ListStripeEventsRequest
from payments_service.contract.pb.payments.v1.order_pb2 import PAYMENT_STATE_OPEN, PAYMENT_STATE_PAID, Order
from payments_service.contract.pb.payments.v1.payments_pb2 import ListOrdersRequest
from payments_service.errors import InvalidRequestError
from payments_service.rpc.page_filling import PAGE_BYTES, fill_page, rows_wanted
from payments_service.rpc.page_token import PageKey, page_key, page_size, page_token

KEY = (datetime(2026, 11, 24, 12, 30, 0, 123456, UTC), "ord_1")
keys = st.tuples(st.datetimes(timezones=st.just(UTC)), st.text(min_size=1, max_size=64))


def violation(request: Message) -> str:
    with pytest.raises(InvalidRequestError) as caught:
        page_key(request)
    assert [v.field for v in caught.value.violations] == ["page_token"]
    return caught.value.message


@given(keys)
def test_a_token_is_read_as_it_was_made(key: PageKey) -> None:
    token = page_token(ListOrdersRequest(), key)

    assert page_key(ListOrdersRequest(page_token=token)) == key


def test_the_first_page_has_no_key() -> None:
    assert page_key(ListOrdersRequest()) is None


def test_the_size_of_a_page_may_change_from_page_to_page() -> None:
    token = page_token(ListOrdersRequest(page_size=10, user_id="u"), KEY)

    assert page_key(ListOrdersRequest(page_size=20, user_id="u", page_token=token)) == KEY


@pytest.mark.parametrize(
    "other",
    [
        ListOrdersRequest(user_id="u2"),
        ListOrdersRequest(payment_states=[PAYMENT_STATE_PAID]),
        ListOrdersRequest(payment_states=[PAYMENT_STATE_PAID, PAYMENT_STATE_OPEN]),
        ListStripeEventsRequest(),
    ],
)
def test_a_token_for_other_filters_is_refused(other: Message) -> None:
    token = page_token(ListOrdersRequest(payment_states=[PAYMENT_STATE_OPEN]), KEY)
    other.page_token = token  # type: ignore[attr-defined]

    assert "other filters" in violation(other)


@given(st.text(min_size=1, max_size=80))
def test_foreign_text_is_refused(token: str) -> None:
    assert "no token of this service" in violation(ListOrdersRequest(page_token=token))


@given(keys, st.data())
def test_a_changed_token_is_refused(key: PageKey, data: st.DataObject) -> None:
    token = page_token(ListOrdersRequest(), key)
    at = data.draw(st.integers(0, len(token) - 1))
    changed = token[:at] + data.draw(st.sampled_from("Aa_-9")) + token[at + 1 :]

    if changed != token:
        violation(ListOrdersRequest(page_token=changed))


@pytest.mark.parametrize(("asked", "given"), [(0, 50), (1, 1), (500, 500), (501, 500), (2**31 - 1, 500)])
def test_the_size_of_a_page_is_bounded(asked: int, given: int) -> None:
    assert page_size(ListOrdersRequest(page_size=asked)) == given


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="page_size"):
        page_size(ListOrdersRequest(page_size=-1))


def filled(request: ListOrdersRequest, available: int, url_length: int = 0) -> tuple[list[Order], str]:
    def show(number: int) -> Order:
        return Order(order_id=f"ord_{number}", checkout_url="x" * url_length)

    rows = range(available)[: rows_wanted(request)]
    return fill_page(request, rows, show, lambda number: (KEY[0], f"ord_{number}"))


@pytest.mark.parametrize(
    ("available", "shown", "more"), [(0, 0, False), (9, 9, False), (10, 10, False), (11, 10, True)]
)
def test_a_page_names_the_next_where_there_is_more(available: int, shown: int, more: bool) -> None:
    orders, token = filled(ListOrdersRequest(page_size=10), available)

    assert (len(orders), bool(token)) == (shown, more)


def test_a_page_ends_before_it_is_too_large_to_send() -> None:
    request = ListOrdersRequest(page_size=10)

    orders, token = filled(request, 10, url_length=PAGE_BYTES // 3)

    assert len(orders) == 2
    assert page_key(ListOrdersRequest(page_size=10, page_token=token)) == (KEY[0], "ord_1")


def test_a_row_that_is_too_large_for_a_page_is_a_page_of_its_own() -> None:
    orders, token = filled(ListOrdersRequest(page_size=10), 2, url_length=PAGE_BYTES + 1)

    assert (len(orders), bool(token)) == (1, True)
