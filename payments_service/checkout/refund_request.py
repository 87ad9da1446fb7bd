"""Checks a RefundOrderRequest and decides which payment it gives back and how much; it calls nobody."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from payments_service.checkout.checkout_request import is_uuid
from payments_service.contract.pb.payments.v1.payments_pb2 import RefundOrderRequest
from payments_service.errors import (
    FieldViolation,
    FulfillmentNotFoundError,
    InvalidRequestError,
    NothingToRefundError,
    RefundExceedsPaymentError,
)
from payments_service.orders.refund_facts import SPENDING
from payments_service.orders.states import PaymentState
from payments_service.storage.fulfillment_rows import FulfillmentRow
from payments_service.storage.order_rows import OrderRow
from payments_service.storage.refund_rows import RefundRow

REASONS = {
    RefundOrderRequest.REASON_UNSPECIFIED: "",
    RefundOrderRequest.REASON_REQUESTED_BY_CUSTOMER: "requested_by_customer",
    RefundOrderRequest.REASON_DUPLICATE: "duplicate",
    RefundOrderRequest.REASON_FRAUDULENT: "fraudulent",
}


@dataclass(frozen=True, slots=True)
class RefundPlan:
    """Which payment is given back, and how much of it in minor units."""

    payment: FulfillmentRow
    amount: int


def check_refund_request(request: RefundOrderRequest) -> None:
    """Raise InvalidRequestError with every violation."""
    violations = list(_violations(request))
    if violations:
        raise InvalidRequestError(violations)


def refund_digest(request: RefundOrderRequest) -> bytes:
    """Digest the body, so that the same request id with another body is noticed."""
    return hashlib.sha256(request.SerializeToString(deterministic=True)).digest()


def plan_refund(
    request: RefundOrderRequest, order: OrderRow, payments: Sequence[FulfillmentRow], refunds: Sequence[RefundRow]
) -> RefundPlan:
    """Decide; what is pending counts as given back. Raises NothingToRefundError and RefundExceedsPaymentError."""
    payment = _payment(request, order, payments)
    _require_currency(request, payment)
    spent = sum(
        row.amount_minor_units
        for row in refunds
        if row.fulfillment_id == payment.fulfillment_id and row.state in SPENDING
    )
    left = payment.amount_minor_units - spent
    if left <= 0:
        raise NothingToRefundError(
            f"Nothing is left of this payment of {order.order_id}: all of it was given back, or is about to be.",
            state=PaymentState(order.payment_state).name,
        )
    amount = request.amount.minor_units if request.HasField("amount") else left
    if amount > left:
        raise RefundExceedsPaymentError(
            f"{amount} minor units are more than the {left} that are left of this payment.", left=str(left)
        )
    return RefundPlan(payment, amount)


def _violations(request: RefundOrderRequest) -> Iterator[FieldViolation]:
    if not is_uuid(request.request_id):
        yield FieldViolation("request_id", "must be a UUID that you make once for this refund and repeat on retries")
    if not request.order_id:
        yield FieldViolation("order_id", "is required")
    if request.reason not in REASONS:
        yield FieldViolation("reason", "is none of the reasons of the contract")
    if request.HasField("amount") and request.amount.minor_units <= 0:
        yield FieldViolation("amount.minor_units", "must be above 0; leave the amount out to refund what is left")


def _payment(request: RefundOrderRequest, order: OrderRow, payments: Sequence[FulfillmentRow]) -> FulfillmentRow:
    """Pick the payment that is named, else the newest; `payments` are newest first."""
    named = request.fulfillment_id
    for row in payments:
        if row.fulfillment_id == named or (not named and row.payment_intent_id):
            return _with_money(order, row)
    if named:
        raise FulfillmentNotFoundError(f"{order.order_id} has no fulfillment {named!r}.", fulfillment_id=named)
    raise _nothing(order)


def _with_money(order: OrderRow, row: FulfillmentRow) -> FulfillmentRow:
    if not row.payment_intent_id or row.amount_minor_units <= 0:
        raise _nothing(order)
    return row


def _nothing(order: OrderRow) -> NothingToRefundError:
    state = PaymentState(order.payment_state).name
    return NothingToRefundError(
        f"{order.order_id} is {state}: no money has come in that could be refunded.", state=state
    )


def _require_currency(request: RefundOrderRequest, payment: FulfillmentRow) -> None:
    asked = request.amount.currency_code.upper()
    if request.HasField("amount") and asked != payment.currency_code.upper():
        text = f"must be {payment.currency_code.upper()}, the currency of the payment"
        raise InvalidRequestError([FieldViolation("amount.currency_code", text)])
