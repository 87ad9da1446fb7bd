"""Puts an event that is not ours on the log, byte for byte, for the handlers of plans and credits who ask for it."""

import hashlib
from datetime import datetime

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent, UnclaimedStripeEvent
from payments_service.orders.order_message import timestamp
from payments_service.storage.inbox_rows import InboxRow
from payments_service.storage.log_rows import OutboxEvent


def unclaimed_event(event: InboxRow, reason: str, now: datetime) -> OutboxEvent:
    """Wrap it: version 0, ordered by its Stripe object; its id follows from Stripe's, so that a replay repeats it."""
    event_id = f"fev_{hashlib.sha256(event.stripe_event_id.encode()).hexdigest()[:32]}"
    key = event.object_id or event.stripe_event_id
    message = FulfillmentEvent(
        event_id=event_id,
        type=FulfillmentEvent.TYPE_UNCLAIMED,
        order_id=key,
        occur_time=timestamp(now),
        unclaimed=UnclaimedStripeEvent(
            stripe_event_id=event.stripe_event_id,
            stripe_type=event.type,
            payload=event.payload,
            reason=reason,
            stripe_account=event.stripe_account,
            livemode=event.livemode,
            api_version=event.api_version,
        ),
    )
    return OutboxEvent(
        event_id=event_id,
        organization_id="",
        ordering_key=key,
        order_version=0,
        purchase_type="",
        type=FulfillmentEvent.TYPE_UNCLAIMED,
        body=message.SerializeToString(),
        occur_time=now,
    )
