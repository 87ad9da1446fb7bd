"""The words of the return pages: one title and one text for each thing that a buyer may find."""

from dataclasses import dataclass
from enum import StrEnum

from webhook_bridge.order_progress import Progress


class Tone(StrEnum):
    """How a page looks."""

    GOOD = "good"
    WAIT = "wait"
    FAILED = "failed"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class PageText:
    """What a page says."""

    tone: Tone
    title: str
    text: str
    steps_done: int | None = None
    """How many of STEPS are behind the buyer; None where there is no path to show."""


STEPS = ("Order placed", "Payment", "Order ready")

ORDER_TEXTS = {
    Progress.PROCESSING: PageText(
        Tone.WAIT,
        "Confirming your payment",
        "This usually takes a few seconds. You can stay here: the page updates itself.",
        steps_done=1,
    ),
    Progress.AWAITING_BANK: PageText(
        Tone.WAIT,
        "Waiting for your bank",
        "Your order is placed. The transfer can take a few days, and we go on as soon as it arrives. "
        "You can close this page.",
        steps_done=1,
    ),
    Progress.PAID: PageText(
        Tone.GOOD,
        "Payment received",
        "Thank you. Your order is being prepared, and there is nothing more for you to do.",
        steps_done=2,
    ),
    Progress.FULFILLED: PageText(
        Tone.GOOD,
        "Your order is ready",
        "Thank you. Your payment has arrived, and what you bought is yours. You can close this page.",
        steps_done=3,
    ),
    Progress.FAILED: PageText(
        Tone.FAILED,
        "Your payment failed",
        "The money did not arrive, and you have not been charged. Go back to the shop to try again.",
    ),
    Progress.EXPIRED: PageText(
        Tone.OVER,
        "This checkout has expired",
        "You have not been charged. Go back to the shop to start again.",
    ),
    Progress.REFUNDED: PageText(
        Tone.OVER,
        "Your payment was refunded",
        "The money is on its way back to you. Banks can take up to ten days to show it.",
    ),
    Progress.CLOSED: PageText(
        Tone.OVER,
        "This order is closed",
        "If you have a question about it, please ask the shop that you bought from.",
    ),
}

CANCELLED = PageText(
    Tone.OVER,
    "Checkout cancelled",
    "You have not been charged. Go back to the shop to start again whenever you like.",
)
UNKNOWN = PageText(
    Tone.OVER,
    "There is nothing to show here",
    "This link is incomplete, or it is not valid any more. If you have paid, your payment is safe: ask the shop that "
    "you bought from.",
)
UNAVAILABLE = PageText(
    Tone.WAIT,
    "We cannot show your order right now",
    "If you have paid, your payment is safe. This page tries again by itself.",
)
