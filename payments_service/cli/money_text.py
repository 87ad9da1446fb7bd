"""Money between a person's way of writing it and Stripe's minor units."""

from decimal import Decimal, InvalidOperation

WITHOUT_DECIMALS = frozenset(
    "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split()  # noqa: SIM905  # reads as one list
)
WITH_THREE = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})


def money_text(currency_code: str, minor_units: int) -> str:
    """Write an amount: `10.50 EUR`, `1050 JPY`; empty where there is no currency."""
    if not currency_code:
        return ""
    return f"{Decimal(minor_units).scaleb(-decimals(currency_code)):,f} {currency_code}"


def minor_units(amount: str, currency_code: str) -> int:
    """Read an amount such as `10.50`; raises ValueError with what is wrong."""
    try:
        scaled = Decimal(amount).scaleb(decimals(currency_code))
    except InvalidOperation:
        scaled = Decimal("nan")
    if not scaled.is_finite():
        raise ValueError(f"{amount!r} is no amount such as 49 or 10.50")
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{amount} has more decimals than {currency_code} has: {decimals(currency_code)}")
    return int(scaled)


def decimals(currency_code: str) -> int:
    """Say how many decimals Stripe counts for a currency."""
    if currency_code in WITHOUT_DECIMALS:
        return 0
    return 3 if currency_code in WITH_THREE else 2
