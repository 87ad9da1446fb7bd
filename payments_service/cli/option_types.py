"""The options that several commands share, and the words that they take; a test holds the words to the contract.

Imported for `payments --help`: nothing heavy may be imported here.
"""

from enum import StrEnum, auto
from typing import Annotated

import typer

JsonFlag = Annotated[bool, typer.Option("--json", help="Machine output: protobuf JSON on stdout.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="Show at most so many.")]
PageToken = Annotated[str, typer.Option("--page-token", help="Go on after the page that gave this token.")]
OrganizationFilter = Annotated[str, typer.Option("--organization", "-o", help="Of this organization only.")]
UserFilter = Annotated[str, typer.Option("--user", "-u", help="Of this user only.")]
Generation = Annotated[int, typer.Option("--generation", min=0, help="The generation that is answered.")]
FulfillmentId = Annotated[str, typer.Argument(metavar="FULFILLMENT", help="Its id (ful_...).")]
OrderKey = Annotated[
    str, typer.Argument(metavar="ORDER", help="An order's id (ord_...) or a checkout session's (cs_...).")
]


class _Word(StrEnum):
    """Words of the command line: AWAITING_FUNDS is written `awaiting-funds`."""

    @staticmethod
    def _generate_next_value_(name: str, start: int, count: int, last_values: list[str]) -> str:  # noqa: ARG004, RUF100
        return name.lower().replace("_", "-")


class KindWord(_Word):
    """What a checkout of the command line can sell."""

    COURSE = auto()
    DIGITAL_GOOD = auto()
    SERVICE = auto()
    CUSTOM = auto()


class ProcessWord(_Word):
    """Which process is asked for its health."""

    SERVE = auto()
    BRIDGE = auto()
    WORKER = auto()


class IntervalWord(_Word):
    """How often a subscription is paid."""

    DAY = auto()
    WEEK = auto()
    MONTH = auto()
    YEAR = auto()


class PaymentWord(_Word):
    """Payment states."""

    CREATING = auto()
    OPEN = auto()
    AWAITING_FUNDS = auto()
    PAID = auto()
    FAILED = auto()
    EXPIRED = auto()
    PARTIALLY_REFUNDED = auto()
    REFUNDED = auto()
    DISPUTED = auto()
    CHARGED_BACK = auto()
    REJECTED = auto()


class FulfillmentWord(_Word):
    """Fulfillment states."""

    PENDING = auto()
    AWAITING_OWNER = auto()
    FULFILLED = auto()
    FAILED = auto()
    REVOKED = auto()


class StripeEventWord(_Word):
    """States of one of Stripe's events."""

    PENDING = auto()
    APPLIED = auto()
    UNCLAIMED = auto()
    IGNORED = auto()
    FAILED = auto()
    DEFERRED = auto()


class EventTypeWord(_Word):
    """Types of a fulfillment event."""

    CHECKOUT_COMPLETED = auto()
    PAYMENT_SUCCEEDED = auto()
    PAYMENT_FAILED = auto()
    CHECKOUT_EXPIRED = auto()
    FULFILLMENT_REQUESTED = auto()
    FULFILLED = auto()
    FULFILLMENT_FAILED = auto()
    REVOKED = auto()
    REFUNDED = auto()
    REFUND_FAILED = auto()
    DISPUTE_OPENED = auto()
    DISPUTE_WON = auto()
    DISPUTE_LOST = auto()
    RENEWED = auto()
    RENEWAL_FAILED = auto()
    SUBSCRIPTION_CANCELED = auto()
    SUBSCRIPTION_PAUSED = auto()
    SUBSCRIPTION_RESUMED = auto()
    SUBSCRIPTION_CANCEL_SCHEDULED = auto()
    RESTORED = auto()
    UNCLAIMED = auto()
