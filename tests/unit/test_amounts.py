"""What Stripe charges, and what nothing may cost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_service.checkout.amounts import ENDINGS, MAXIMUM, MINIMUMS, amount_problem, total_problem


@pytest.mark.parametrize("code", ["USD", "usd", "JPY", "KWD", "XAF", "ZZZ"])
def test_a_whole_amount_in_any_currency_is_a_price(code: str) -> None:
    assert amount_problem(code, 10_000) is None


@pytest.mark.parametrize("code", ["", "US", "USDT", "U$D", "12A", "ßa", "ÄÖÜ", " US"])
def test_what_is_no_currency_code_is_named_as_that(code: str) -> None:
    problem = amount_problem(code, 10_000)

    assert problem is not None
    assert problem.part == "currency_code"


@pytest.mark.parametrize(
    ("code", "units", "text"),
    [
        ("USD", -1, "negative"),
        ("USD", MAXIMUM + 1, "most that Stripe charges"),
        ("KWD", 1_234, "multiple of 10 in KWD"),
        ("isk", 150, "multiple of 100 in ISK"),
        ("UGX", 1, "multiple of 100"),
    ],
)
def test_an_amount_that_cannot_be_charged_says_why(code: str, units: int, text: str) -> None:
    problem = amount_problem(code, units)

    assert problem is not None
    assert problem.part == "minor_units"
    assert text in problem.text


@pytest.mark.parametrize(("code", "units"), [("KWD", 1_230), ("ISK", 100), ("UGX", 0), ("USD", 0), ("USD", MAXIMUM)])
def test_an_amount_at_a_bound_is_a_price(code: str, units: int) -> None:
    assert amount_problem(code, units) is None


@pytest.mark.parametrize("code", sorted(MINIMUMS))
def test_a_total_is_charged_from_stripes_minimum_on(code: str) -> None:
    assert total_problem(code, MINIMUMS[code]) is None
    problem = total_problem(code, MINIMUMS[code] - 1)
    assert problem is not None
    assert not problem.is_too_much
    assert str(MINIMUMS[code]) in problem.text


def test_nothing_at_all_is_no_charge() -> None:
    assert total_problem("USD", 0) is None


def test_of_a_currency_whose_minimum_is_not_known_nothing_is_guessed() -> None:
    assert total_problem("CLP", 1) is None
    assert total_problem("ZZZ", 1) is None
    assert total_problem("ZZZ", MAXIMUM + 1) is not None


@given(st.text(max_size=5), st.integers(-(2**63), 2**63 - 1))
def test_any_code_and_amount_gets_an_answer(code: str, units: int) -> None:
    problem = amount_problem(code, units)
    total_problem(code, units)

    if problem is None:
        assert 0 <= units <= MAXIMUM
        assert units % ENDINGS.get(code.upper(), 1) == 0
