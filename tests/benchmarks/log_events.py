"""Realistic events, and logs full of them."""

from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent
from payments_service.contract.pb.payments.v1.order_pb2 import (
    FULFILLMENT_STATE_FULFILLED,
    MODE_PAYMENT,
    PAYMENT_STATE_PAID,
    Fulfillment,
    Order,
)
from payments_service.contract.pb.payments.v1.purchase_pb2 import CoursePurchase, Money, Purchase
from payments_service.event_log.sequencer import Sequencer
from payments_service.identifiers import new_id
from payments_service.storage.database import Database
from payments_service.storage.log_rows import OutboxEvent, append_events


def realistic_event(now: datetime) -> FulfillmentEvent:
    """Make an event as a paid course order has it: ids, purchase, money, its fulfillment, twice."""
    time_now, later = Timestamp(), Timestamp()
    time_now.FromDatetime(now)
    later.FromDatetime(now + timedelta(hours=24))
    price = Money(currency_code="EUR", minor_units=4900)
    fulfillment = Fulfillment(
        fulfillment_id=new_id("ful"),
        source_id="cs_test_a1bK2mX9vQ7LrT4wZ8cY3nE6uJ5hG0pDfSsRkOiVtMqWxCbNyUzAeLjP",
        state=FULFILLMENT_STATE_FULFILLED,
        attempts=1,
        result={"course": "intro-to-sql", "seat": "1"},
        update_time=time_now,
        amount=price,
        payment_intent_id="pi_3OZx2eAbCdEfGhIj1kLmNoPq",
    )
    order_id = new_id("ord")
    order = Order(
        order_id=order_id,
        organization_id="org_acme",
        user_id="user_4711",
        purchase=Purchase(course=CoursePurchase(course_id="intro-to-sql", cohort_id="2026-11")),
        mode=MODE_PAYMENT,
        payment_state=PAYMENT_STATE_PAID,
        fulfillment_state=FULFILLMENT_STATE_FULFILLED,
        total=price,
        checkout_session_id=fulfillment.source_id,
        payment_intent_id=fulfillment.payment_intent_id,
        version=3,
        create_time=time_now,
        update_time=time_now,
        expire_time=later,
        fulfillments=[fulfillment],
        created_by="course-service",
        fulfillment_count=1,
    )
    return FulfillmentEvent(
        event_id=new_id("fev"),
        type=FulfillmentEvent.TYPE_FULFILLED,
        organization_id=order.organization_id,
        order_id=order_id,
        order_version=3,
        occur_time=time_now,
        order=order,
        fulfillment=fulfillment,
    )


async def fill(database: Database, count: int) -> None:
    """Put events on the log the way the service does: outbox, then sequencer."""
    sequencer = Sequencer(database, lambda: None)
    for start in range(0, count, 5_000):
        await stage(database, min(5_000, count - start))
        await sequencer.drain()


async def stage(database: Database, count: int) -> None:
    """Commit events to the outbox."""
    now = datetime.now(UTC)
    async with database.transaction() as tx:
        await append_events(tx, [_outbox_event(realistic_event(now), now) for _ in range(count)])


def _outbox_event(message: FulfillmentEvent, now: datetime) -> OutboxEvent:
    return OutboxEvent(
        event_id=message.event_id,
        organization_id=message.organization_id,
        ordering_key=message.order_id,
        order_version=message.order_version,
        purchase_type="course",
        type=message.type,
        body=message.SerializeToString(),
        occur_time=now,
    )
