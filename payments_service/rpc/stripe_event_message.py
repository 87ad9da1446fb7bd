"""Turns a row of the inbox into the contract's message; it decides nothing."""

from payments_service.contract.pb.payments.v1.stripe_event_pb2 import StripeEvent
from payments_service.orders.order_message import timestamp
from payments_service.storage.inbox_rows import InboxRow


def stripe_event_message(row: InboxRow, *, with_payload: bool = False) -> StripeEvent:
    """Show an event from Stripe and what became of it; the payload only where one event was asked for."""
    return StripeEvent(
        stripe_event_id=row.stripe_event_id,
        type=row.type,
        state=row.state,  # type: ignore[arg-type]  # stored numbers are the enum's
        verdict_reason=row.verdict_reason,
        order_id=row.order_id or "",
        organization_id=row.organization_id or "",
        deliveries=row.deliveries,
        attempts=row.attempts,
        last_error=row.last_error,
        stripe_create_time=timestamp(row.stripe_create_time),
        receive_time=timestamp(row.receive_time),
        settle_time=timestamp(row.settle_time),
        next_attempt_time=timestamp(row.next_attempt_time),
        source=row.source,
        payload=row.payload if with_payload else b"",
        stripe_account=row.stripe_account,
        livemode=row.livemode,
        api_version=row.api_version,
    )
