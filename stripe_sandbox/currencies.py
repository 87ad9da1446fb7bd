"""What Stripe knows of each currency: how many decimals, the smallest and largest amount, and how a buyer reads it."""

_WITHOUT_DECIMALS = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"
ZERO_DECIMAL = frozenset(_WITHOUT_DECIMALS.split())
THREE_DECIMAL = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])
# Two decimals on the wire, none in use: the last two digits are 00.
WHOLE_HUNDREDS = frozenset(["isk", "ugx"])
LARGEST_AMOUNT = 99_999_999

_MINIMUMS = {
    **dict.fromkeys(["usd", "eur", "cad", "aud", "chf", "nzd", "sgd", "brl", "inr"], 50),
    **dict.fromkeys(["pln", "ron", "aed", "myr"], 200),
    **dict.fromkeys(["nok", "sek"], 300),
    "gbp": 30, "jpy": 50, "mxn": 1000, "hkd": 400, "dkk": 250, "czk": 1500, "huf": 17500, "thb": 1000,
}  # fmt: skip
_SYMBOLS = {
    "usd": "$", "eur": "€", "gbp": "£", "jpy": "¥", "inr": "₹", "krw": "₩", "brl": "R$", "cad": "CA$", "aud": "A$",
    "nzd": "NZ$", "hkd": "HK$", "sgd": "S$", "mxn": "MX$", "vnd": "₫", "thb": "฿",
}  # fmt: skip
_CHARGEABLE = """
usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd cad cdf chf
clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl htg huf idr ils
inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mur mvr mwk
mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp
sle sos srd std szl thb tjs tnd top try ttd twd tzs uah ugx uyu uzs vnd vuv wst xaf xcd xcg xof xpf yer zar zmw
"""
_KNOWN = frozenset(_CHARGEABLE.split())


def is_currency(code: str) -> bool:
    """Tell whether Stripe would charge in it; codes are lowercase."""
    return code in _KNOWN


def decimals(currency: str) -> int:
    """Give the number of digits after the point of the amounts on the wire."""
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def minimum_amount(currency: str) -> int:
    """Give the smallest charge in minor units; where Stripe publishes none, one."""
    return _MINIMUMS.get(currency, 1)


def format_amount(amount: int, currency: str) -> str:
    """Write an amount for a buyer, such as `$1,250.00`, `¥1,250` or `KWD 1.250`."""
    places = 0 if currency in WHOLE_HUNDREDS else decimals(currency)
    whole, rest = divmod(abs(amount), 10 ** decimals(currency))
    number = f"{whole:,}" + (f".{rest:0{places}d}" if places else "")
    symbol = _SYMBOLS.get(currency)
    sign = "-" if amount < 0 else ""
    return f"{sign}{symbol}{number}" if symbol else f"{sign}{currency.upper()} {number}"
