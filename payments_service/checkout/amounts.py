"""What Stripe can charge: minimums, the largest amount, and currencies whose last digits must be zero.

Figures from docs.stripe.com/currencies, as collected in reading/stripe.md 1.9. Of a currency that is not listed here
no minimum is known, and nothing is guessed: Stripe itself refuses what it does not charge.
"""

from dataclasses import dataclass
from typing import Literal

MAXIMUM = 99_999_999
MINIMUMS = {
    **dict.fromkeys(("USD", "EUR", "CAD", "AUD", "CHF", "NZD", "SGD", "BRL", "INR", "JPY"), 50),
    **dict.fromkeys(("NOK", "SEK"), 300),
    **dict.fromkeys(("PLN", "RON", "AED", "MYR"), 200),
    "GBP": 30,
    "MXN": 1_000,
    "HKD": 400,
    "DKK": 250,
    "CZK": 1_500,
    "HUF": 17_500,
    "THB": 1_000,
}
ENDINGS = {
    **dict.fromkeys(("BHD", "JOD", "KWD", "OMR", "TND"), 10),
    **dict.fromkeys(("ISK", "UGX"), 100),
}
"""The amount must be a multiple of this: Stripe takes a third decimal, or any decimal, only as zero."""


@dataclass(frozen=True, slots=True)
class AmountProblem:
    """What is wrong, in which part of a Money."""

    part: Literal["currency_code", "minor_units"]
    text: str


@dataclass(frozen=True, slots=True)
class TotalProblem:
    """What is wrong with a sum."""

    text: str
    is_too_much: bool


def amount_problem(currency_code: str, minor_units: int) -> AmountProblem | None:
    """Say why nothing can have this price, None where it can; a price may be below what can be charged."""
    if len(currency_code) != 3 or not (currency_code.isascii() and currency_code.isalpha()):
        return AmountProblem("currency_code", f"{currency_code!r} is no ISO 4217 code such as EUR")
    if minor_units < 0:
        return AmountProblem("minor_units", "is negative")
    if minor_units > MAXIMUM:
        return AmountProblem("minor_units", _TOO_MUCH)
    code = currency_code.upper()
    step = ENDINGS.get(code, 1)
    if minor_units % step:
        return AmountProblem("minor_units", f"must be a multiple of {step} in {code}: Stripe takes no finer amount")
    return None


def total_problem(currency_code: str, minor_units: int) -> TotalProblem | None:
    """Say why Stripe could not charge this sum at once, None where it could; nothing at all is no charge."""
    if minor_units > MAXIMUM:
        return TotalProblem(_TOO_MUCH, is_too_much=True)
    code = currency_code.upper()
    least = MINIMUMS.get(code, 0)
    if 0 < minor_units < least:
        text = f"is {minor_units} minor units, and the least that Stripe charges in {code} is {least}"
        return TotalProblem(text, is_too_much=False)
    return None


_TOO_MUCH = f"is over {MAXIMUM} minor units, the most that Stripe charges"
