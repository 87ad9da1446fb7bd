"""What Stripe can charge: minimums, the largest amount, and currencies whose last digits must be zero.

Figures from docs.stripe.com/currencies, as collected in reading/stripe.md 1.9; where Stripe's list is longer,
Stripe itself refuses.
"""

from dataclasses import dataclass
from typing import Literal

MAXIMUM = 99_999_999
MINIMUMS = {
    **dict.fromkeys(("USD", "EUR", "CAD", "AUD", "CHF", "NZD", "SGD", "BRL", "INR"), 50),
    **dict.fromkeys(("JPY",), 50),
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


def amount_problem(currency_code: str, minor_units: int, *, is_total: bool) -> AmountProblem | None:
    """Say why Stripe could not charge this, None where it could; minimums hold for totals alone."""
    code = currency_code.upper()
    if len(code) != 3 or not (code.isascii() and code.isalpha()):
        return AmountProblem("currency_code", f"{currency_code!r} is no ISO 4217 code such as EUR")
    if minor_units < 0:
        return AmountProblem("minor_units", "is negative")
    if minor_units > MAXIMUM:
        return AmountProblem("minor_units", f"is over {MAXIMUM}, the most that Stripe charges")
    if minor_units % ENDINGS.get(code, 1):
        return AmountProblem("minor_units", f"must be a multiple of {ENDINGS[code]} in {code}")
    if is_total and minor_units < MINIMUMS.get(code, 0):
        return AmountProblem(
            "minor_units", f"is under {MINIMUMS[code]} minor units, the least Stripe charges in {code}"
        )
    return None
