"""The contract's enums and purchases in words, and the colour that tells good from bad."""

import re
from collections.abc import Iterable
from typing import Any

from rich.text import Text

from payments_service.cli.terminal import clean
from payments_service.contract.pb.payments.v1.order_pb2 import FulfillmentState, Order, PaymentState
from payments_service.contract.pb.payments.v1.purchase_pb2 import Purchase

_STYLES = {
    "green": "paid fulfilled applied active succeeded restored renewed resumed won completed",
    "yellow": "creating open pending deferred trialing requested unclaimed opened paused scheduled",
    "red": "failed rejected disputed unpaid incomplete lost canceled",
    "dim": "expired ignored revoked refunded",
}
_STYLE_OF = {word: style for style, words in _STYLES.items() for word in words.split()} | {
    "awaiting funds": "yellow",
    "awaiting owner": "yellow",
    "charged back": "red",
    "past due": "red",
    "partially refunded": "dim",
}


def word(enum: Any, number: int) -> str:  # noqa: ANN401  # a generated enum
    """Name a value: PAYMENT_STATE_AWAITING_FUNDS is `awaiting funds`; empty for UNSPECIFIED."""
    if number == 0:
        return ""
    value = enum.DESCRIPTOR.values_by_number.get(number)
    return plain(value.name.removeprefix(_prefix(enum))) if value else f"unknown ({number})"


def number(enum: Any, spoken: str) -> int:  # noqa: ANN401  # a generated enum
    """Give the value of a word of the command line: `awaiting-funds`."""
    value: int = enum.Value(_prefix(enum) + spoken.replace("-", "_").upper())
    return value


def numbers(enum: Any, spoken: Iterable[str]) -> list[Any]:  # noqa: ANN401  # a generated enum
    """Give the values of several words."""
    return [number(enum, each) for each in spoken]


def purchase_type(spoken: str) -> str:
    """Take a built-in type in the command line's spelling too."""
    return "digital_good" if spoken == "digital-good" else spoken


def plain(name: str) -> str:
    """Write a name of the contract as words."""
    return name.replace("_", " ").lower()


def painted(text: str) -> Text:
    """Colour a state by what it means, looked up whole, then by its last word."""
    style = _STYLE_OF.get(text) or _STYLE_OF.get(text.rpartition(" ")[2], "")
    return Text(clean(text), style=style)


def order_state(order: Order) -> Text:
    """Write both states of an order: `paid, fulfilled`."""
    payment = painted(word(PaymentState, order.payment_state))
    fulfillment = word(FulfillmentState, order.fulfillment_state)
    return Text.assemble(payment, ", ", painted(fulfillment)) if fulfillment else payment


def purchase_text(purchase: Purchase) -> str:
    """Say what is bought: `course intro-to-sql`, `digital good ebook-7 x 3`, `gift_card 1001`."""
    match purchase.WhichOneof("kind"):
        case "course":
            cohort = purchase.course.cohort_id
            return f"course {purchase.course.course_id}" + (f", cohort {cohort}" if cohort else "")
        case "digital_good":
            seats = purchase.digital_good.seats
            return f"digital good {purchase.digital_good.sku}" + (f" x {seats}" if seats > 1 else "")
        case "service":
            return f"service {purchase.service.service_id}"
        case "custom":
            return f"{purchase.custom.type} {purchase.custom.custom_id}".strip()
        case _:
            return ""


def _prefix(enum: Any) -> str:  # noqa: ANN401  # a generated enum
    """Give what each of its names starts with: `PaymentState` prefixes PAYMENT_STATE_."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", enum.DESCRIPTOR.name).upper() + "_"
