"""Money as the contract counts it: whole minor units of a currency, never a float."""

from dataclasses import dataclass
from decimal import Decimal

_WITHOUT_DECIMALS = frozenset(
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"]
)
_THREE_DECIMALS = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])


@dataclass(frozen=True, slots=True)
class Money:
    """An amount: `Money("EUR", 1050)` is 10.50 EUR, `Money("JPY", 1050)` is 1050 JPY."""

    currency_code: str
    """ISO 4217, upper case."""
    minor_units: int

    @classmethod
    def of(cls, currency_code: str, amount: str | int | Decimal) -> "Money":
        """Read a decimal amount, such as `Money.of("EUR", "10.50")`; raises ValueError where it has parts too small."""
        if isinstance(amount, float):
            raise TypeError('A float is no amount of money: write it as text, such as "10.50".')
        units = Decimal(amount).scaleb(_decimals(currency_code))
        if units != units.to_integral_value():
            raise ValueError(f"{currency_code} has {_decimals(currency_code)} decimals, and {amount} has more.")
        return cls(currency_code, int(units))

    @property
    def amount(self) -> Decimal:
        """Give it in the currency's main unit."""
        return Decimal(self.minor_units).scaleb(-_decimals(self.currency_code))

    def __str__(self) -> str:
        return f"{self.amount:,.{_decimals(self.currency_code)}f} {self.currency_code}"


def _decimals(currency_code: str) -> int:
    if currency_code in _WITHOUT_DECIMALS:
        return 0
    return 3 if currency_code in _THREE_DECIMALS else 2
