"""Turns stored orders, fulfillments and entitlements into the contract's messages; it decides nothing."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from payments_service.contract.pb.payments.v1.entitlement_pb2 import Entitlement
from payments_service.contract.pb.payments.v1.order_pb2 import Fulfillment, Order, Refund
from payments_service.contract.pb.payments.v1.purchase_pb2 import Money, Purchase
from payments_service.orders.order_parts import OrderParts
from payments_service.orders.states import FulfillmentState, PaymentState
from payments_service.storage.entitlement_rows import EntitlementRow
from payments_service.storage.fulfillment_rows import FulfillmentRow
from payments_service.storage.order_rows import OrderRow
from payments_service.storage.refund_rows import RefundRow


def order_message(row: OrderRow, parts: OrderParts) -> Order:
    """Show an order with its newest fulfillments and refunds."""
    return Order(
        order_id=row.order_id,
        organization_id=row.organization_id,
        user_id=row.user_id,
        purchase=Purchase.FromString(row.purchase),
        mode=row.mode,  # type: ignore[arg-type]  # stored numbers are the enum's
        payment_state=row.payment_state,  # type: ignore[arg-type]  # stored numbers are the enum's
        fulfillment_state=row.fulfillment_state,  # type: ignore[arg-type]  # stored numbers are the enum's
        total=money(row.total_minor_units, row.currency_code),
        refunded=money(row.refunded_minor_units or None, row.currency_code),
        checkout_session_id=row.checkout_session_id or "",
        checkout_url=(row.checkout_url or "") if row.payment_state == PaymentState.OPEN else "",
        payment_intent_id=row.payment_intent_id or "",
        subscription_id=row.subscription_id or "",
        subscription_state=row.subscription_state,  # type: ignore[arg-type]  # stored numbers are the enum's
        livemode=row.livemode,
        version=row.version,
        create_time=timestamp(row.create_time),
        update_time=timestamp(row.update_time),
        expire_time=timestamp(row.expire_time),
        fulfillments=[fulfillment_message(fulfillment) for fulfillment in parts.fulfillments],
        created_by=row.created_by,
        stripe_account=row.stripe_account,
        cancel_at_period_end=row.cancel_at_period_end,
        current_period_end=timestamp(row.current_period_end),
        refunds=[refund_message(refund) for refund in parts.refunds],
        fulfillment_count=parts.fulfillment_count,
        customer_id=row.customer_id or "",
    )


def fulfillment_message(row: FulfillmentRow) -> Fulfillment:
    """Show a fulfillment."""
    return Fulfillment(
        fulfillment_id=row.fulfillment_id,
        source_id=row.source_id,
        state=FulfillmentState(row.state).value,  # type: ignore[arg-type]  # stored numbers are the enum's
        attempts=row.attempts,
        last_error=row.last_error,
        result=row.result,
        update_time=timestamp(row.update_time),
        generation=row.generation,
        amount=money(row.amount_minor_units, row.currency_code),
        refunded=money(row.refunded_minor_units or None, row.currency_code),
        payment_intent_id=row.payment_intent_id or "",
        period_start=timestamp(row.period_start),
        period_end=timestamp(row.period_end),
    )


def refund_message(row: RefundRow) -> Refund:
    """Show a refund; it has Stripe's id once Stripe has answered."""
    return Refund(
        refund_id=row.stripe_refund_id or "",
        amount=money(row.amount_minor_units, row.currency_code),
        state=row.state,  # type: ignore[arg-type]  # stored numbers are the enum's
        fulfillment_id=row.fulfillment_id or "",
        create_time=timestamp(row.create_time),
    )


def entitlement_message(row: EntitlementRow, now: datetime) -> Entitlement:
    """Show an entitlement, active or not at this moment."""
    active = row.revoke_time is None and (row.access_end_time is None or row.access_end_time > now)
    return Entitlement(
        organization_id=row.organization_id,
        user_id=row.user_id,
        resource=row.resource,
        order_id=row.order_id,
        active=active,
        grant_time=timestamp(row.grant_time),
        expire_time=timestamp(row.expire_time),
        revoke_time=timestamp(row.revoke_time),
        quantity=row.quantity,
    )


def money(minor_units: int | None, currency_code: str | None) -> Money | None:
    """Show an amount; None where it is not known."""
    if minor_units is None or not currency_code:
        return None
    return Money(currency_code=currency_code.upper(), minor_units=minor_units)


def timestamp(time: datetime | None) -> Timestamp | None:
    """Show an instant; None where there is none."""
    if time is None:
        return None
    message = Timestamp()
    message.FromDatetime(time)
    return message
