"""Writes an amount as a buyer reads it, such as `$1,250.00`, `¥1,250` or `KWD 1.250`."""

from payments_service.contract.pb.payments.v1.purchase_pb2 import Money

_DECIMALS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV"), 0),
    **dict.fromkeys(("XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "JOD", "KWD", "OMR", "TND"), 3),
}
"""Digits after the point, where they are not two."""
_WHOLE_HUNDREDS = frozenset({"ISK", "UGX"})
"""Two decimals as Stripe counts, none in use."""
_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹", "KRW": "₩"}


def price_text(money: Money) -> str:
    """Write it."""
    code = money.currency_code
    decimals = _DECIMALS.get(code, 2)
    whole, rest = divmod(money.minor_units, 10**decimals)
    fraction = f".{rest:0{decimals}d}" if decimals and code not in _WHOLE_HUNDREDS else ""
    return f"{_SYMBOLS.get(code, code + ' ')}{whole:,}{fraction}"
