"""Any form, however odd, is either read or refused with an error of Stripe's."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stripe_sandbox.api_error import StripeApiError
from stripe_sandbox.bracket_form import parse_form
from stripe_sandbox.parameter_check import check_parameters

_NAMES = st.sampled_from(["line_items", "mode", "metadata", "price_data", "expand", "0", "1", "", "created", "zzz"])
_KEYS = st.builds(lambda head, rest: head + "".join(f"[{part}]" for part in rest), _NAMES, st.lists(_NAMES, max_size=4))
_VALUES = st.one_of(st.sampled_from(["", "payment", "true", "5", "usd"]), st.text(max_size=20))
_FORMS = st.lists(st.tuples(_KEYS, _VALUES), max_size=8)


@given(_FORMS, st.sampled_from(["session_create", "session_update", "event_list", "price_create"]))
def test_every_form_is_read_or_refused(pairs: list[tuple[str, str]], operation: str) -> None:
    encoded = "&".join(f"{quote(key, safe='[]')}={quote(value)}" for key, value in pairs).encode()
    try:
        check_parameters(operation, parse_form(encoded))
    except StripeApiError as refusal:
        assert refusal.status == 400  # noqa: PT017 - either outcome is right
        assert refusal.message  # noqa: PT017


@given(st.binary(max_size=200))
def test_every_body_is_read_or_refused(body: bytes) -> None:
    try:
        parse_form(body)
    except StripeApiError as refusal:
        assert refusal.status == 400  # noqa: PT017 - either outcome is right


def test_brackets_nest_and_lists_keep_their_order() -> None:
    form = parse_form(b"line_items[1][quantity]=2&line_items[0][quantity]=1&expand[]=a&expand[]=b")
    assert form == {"line_items": {"1": {"quantity": "2"}, "0": {"quantity": "1"}}, "expand": {"0": "a", "1": "b"}}


@pytest.mark.parametrize("key", ["a" + "[b]" * 5000, "metadata[a[b]]", "[a]", "a]b"])
def test_names_that_no_client_sends_are_refused(key: str) -> None:
    with pytest.raises(StripeApiError, match="Invalid parameter name"):
        parse_form(f"{key}=1".encode())
