"""What a buyer is told of an order: far less than we know, and nothing that identifies anybody; it calls nobody."""

from enum import StrEnum
from typing import assert_never

from payments_service.contract.pb.payments.v1.order_pb2 import Order
from payments_service.orders.states import FulfillmentState, PaymentState


class Progress(StrEnum):
    """How far an order is, in a buyer's eyes."""

    PROCESSING = "processing"
    """Stripe has not told us yet that the buyer is done."""
    AWAITING_BANK = "awaiting_bank"
    PAID = "paid"
    """Paid, and being handed over."""
    FULFILLED = "fulfilled"
    FAILED = "failed"
    EXPIRED = "expired"
    REFUNDED = "refunded"
    CLOSED = "closed"
    """Over for reasons that this page does not tell a stranger."""


MOVING = frozenset({Progress.PROCESSING, Progress.AWAITING_BANK, Progress.PAID})
"""Where looking again may show something new."""


def progress_of(order: Order) -> Progress:
    """Tell how far an order is."""
    match PaymentState(order.payment_state):
        case PaymentState.UNSPECIFIED | PaymentState.CREATING | PaymentState.OPEN:
            progress = Progress.PROCESSING
        case PaymentState.AWAITING_FUNDS:
            progress = Progress.AWAITING_BANK
        case PaymentState.PAID | PaymentState.PARTIALLY_REFUNDED:
            progress = _handed_over(FulfillmentState(order.fulfillment_state))
        case PaymentState.FAILED:
            progress = Progress.FAILED
        case PaymentState.EXPIRED | PaymentState.REJECTED:
            progress = Progress.EXPIRED
        case PaymentState.REFUNDED:
            progress = Progress.REFUNDED
        case PaymentState.DISPUTED | PaymentState.CHARGED_BACK:
            progress = Progress.CLOSED
        case never:
            assert_never(never)
    return progress


def _handed_over(state: FulfillmentState) -> Progress:
    match state:
        case FulfillmentState.FULFILLED:
            return Progress.FULFILLED
        case FulfillmentState.REVOKED:
            return Progress.CLOSED
        case (
            FulfillmentState.UNSPECIFIED
            | FulfillmentState.PENDING
            | FulfillmentState.AWAITING_OWNER
            | FulfillmentState.FAILED
        ):
            # What has failed is an operator's to mend; the buyer has paid and has nothing to do.
            return Progress.PAID
        case never:
            assert_never(never)
