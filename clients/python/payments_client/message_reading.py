"""Turns the contract's messages into frozen dataclasses."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from payments_client.enum_names import member_of
from payments_client.enumerations import (
    EventType,
    FulfillmentState,
    Mode,
    PaymentState,
    RefundState,
    SubscriberState,
    SubscriptionState,
)
from payments_client.event_types import Event, EventFilter, ParkedEvent, Subscriber, UnclaimedStripeEvent
from payments_client.money import Money
from payments_client.order_types import Entitlement, Fulfillment, Order, Refund
from payments_client.pb.payments.v1 import (
    entitlement_pb2,
    fulfillment_event_pb2,
    order_pb2,
    purchase_pb2,
    subscriber_pb2,
)
from payments_client.purchase_types import Course, Custom, DigitalGood, Purchase, Service

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_order(message: order_pb2.Order) -> Order:
    """Read an order."""
    return Order(
        order_id=message.order_id,
        organization_id=message.organization_id,
        user_id=message.user_id,
        purchase=read_purchase(message.purchase),
        mode=member_of(Mode, message.mode),
        payment_state=member_of(PaymentState, message.payment_state),
        fulfillment_state=member_of(FulfillmentState, message.fulfillment_state),
        total=_money(message.total),
        refunded=_money(message.refunded),
        checkout_session_id=message.checkout_session_id,
        checkout_url=message.checkout_url,
        payment_intent_id=message.payment_intent_id,
        subscription_id=message.subscription_id,
        subscription_state=member_of(SubscriptionState, message.subscription_state),
        livemode=message.livemode,
        version=message.version,
        create_time=_time(message.create_time),
        update_time=_time(message.update_time),
        expire_time=_time(message.expire_time),
        fulfillments=tuple(map(read_fulfillment, message.fulfillments)),
        created_by=message.created_by,
        stripe_account=message.stripe_account,
        cancel_at_period_end=message.cancel_at_period_end,
        current_period_end=_time(message.current_period_end),
        refunds=tuple(map(read_refund, message.refunds)),
        fulfillment_count=message.fulfillment_count,
    )


def read_fulfillment(message: order_pb2.Fulfillment) -> Fulfillment:
    """Read a fulfillment."""
    return Fulfillment(
        fulfillment_id=message.fulfillment_id,
        source_id=message.source_id,
        state=member_of(FulfillmentState, message.state),
        attempts=message.attempts,
        last_error=message.last_error,
        result=dict(message.result),
        update_time=_time(message.update_time),
        generation=message.generation,
        amount=_money(message.amount),
        refunded=_money(message.refunded),
        payment_intent_id=message.payment_intent_id,
        period_start=_time(message.period_start),
        period_end=_time(message.period_end),
    )


def read_refund(message: order_pb2.Refund) -> Refund:
    """Read a refund."""
    return Refund(
        refund_id=message.refund_id,
        amount=_money(message.amount),
        state=member_of(RefundState, message.state),
        fulfillment_id=message.fulfillment_id,
        create_time=_time(message.create_time),
    )


def read_purchase(message: purchase_pb2.Purchase) -> Purchase | None:
    """Read what was bought; None where a newer service sells what this client does not know."""
    kind = message.WhichOneof("kind")
    return _PURCHASES[kind](message) if kind else None


def _service(message: purchase_pb2.Purchase) -> Service:
    return Service(message.service.service_id, _time(message.service.scheduled_time))


_PURCHASES: dict[str, Callable[[purchase_pb2.Purchase], Purchase]] = {
    "course": lambda message: Course(message.course.course_id, message.course.cohort_id),
    "digital_good": lambda message: DigitalGood(message.digital_good.sku, message.digital_good.seats),
    "service": _service,
    "custom": lambda message: Custom(message.custom.type, message.custom.custom_id, dict(message.custom.attributes)),
}


def read_entitlement(message: entitlement_pb2.Entitlement) -> Entitlement:
    """Read an entitlement."""
    return Entitlement(
        organization_id=message.organization_id,
        user_id=message.user_id,
        resource=message.resource,
        order_id=message.order_id,
        active=message.active,
        grant_time=_time(message.grant_time),
        expire_time=_time(message.expire_time),
        revoke_time=_time(message.revoke_time),
        quantity=message.quantity,
    )


def read_event(message: fulfillment_event_pb2.FulfillmentEvent, attempt: int = 1) -> Event:
    """Read an event of the stream."""
    return Event(
        event_id=message.event_id,
        type=member_of(EventType, message.type),
        organization_id=message.organization_id,
        order_id=message.order_id,
        order_version=message.order_version,
        occur_time=_time(message.occur_time),
        order=read_order(message.order) if message.HasField("order") else None,
        fulfillment=read_fulfillment(message.fulfillment) if message.HasField("fulfillment") else None,
        refund=read_refund(message.refund) if message.HasField("refund") else None,
        unclaimed=_unclaimed(message.unclaimed) if message.HasField("unclaimed") else None,
        cursor=message.cursor,
        attempt=attempt,
    )


def _unclaimed(message: fulfillment_event_pb2.UnclaimedStripeEvent) -> UnclaimedStripeEvent:
    return UnclaimedStripeEvent(
        stripe_event_id=message.stripe_event_id,
        stripe_type=message.stripe_type,
        payload=message.payload,
        reason=message.reason,
        stripe_account=message.stripe_account,
        livemode=message.livemode,
        api_version=message.api_version,
    )


def read_subscriber(message: subscriber_pb2.Subscriber) -> Subscriber:
    """Read a durable subscriber."""
    narrowed = message.filter
    return Subscriber(
        name=message.subscriber,
        filter=EventFilter(
            organization_ids=tuple(narrowed.organization_ids),
            purchase_types=tuple(narrowed.purchase_types),
            types=tuple(member_of(EventType, number) for number in narrowed.types),
            order_ids=tuple(narrowed.order_ids),
        ),
        shard_count=message.shard_count,
        max_attempts=message.max_attempts,
        backlog=message.backlog,
        parked=message.parked,
        members=message.members,
        create_time=_time(message.create_time),
        owner=message.owner,
        state=member_of(SubscriberState, message.state),
    )


def read_parked(message: subscriber_pb2.ParkedEvent) -> ParkedEvent:
    """Read an event that was set aside."""
    return ParkedEvent(
        event=read_event(message.event, message.attempts),
        attempts=message.attempts,
        last_reason=message.last_reason,
        park_time=_time(message.park_time),
    )


def _money(message: purchase_pb2.Money) -> Money | None:
    return Money(message.currency_code, message.minor_units) if message.currency_code else None


def _time(message: Timestamp) -> datetime | None:
    seconds, nanos = message.seconds, message.nanos
    if not seconds and not nanos:
        return None
    return _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)  # ten times as fast as ToDatetime
