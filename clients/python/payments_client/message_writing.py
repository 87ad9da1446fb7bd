"""Turns dataclasses into the contract's messages."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import assert_never

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from payments_client.enum_names import number_of
from payments_client.event_types import EventFilter, Start, StartAt
from payments_client.money import Money
from payments_client.pb.payments.v1 import fulfillment_event_pb2, purchase_pb2
from payments_client.purchase_types import Course, Custom, DigitalGood, LineItem, Purchase, Recurrence, Service


def purchase_message(purchase: Purchase) -> purchase_pb2.Purchase:
    """Write what is bought."""
    pb = purchase_pb2
    match purchase:
        case Course(course_id, cohort_id):
            return pb.Purchase(course=pb.CoursePurchase(course_id=course_id, cohort_id=cohort_id))
        case DigitalGood(sku, seats):
            return pb.Purchase(digital_good=pb.DigitalGoodPurchase(sku=sku, seats=seats))
        case Service(service_id, time):
            scheduled = timestamp(time) if time else None
            return pb.Purchase(service=pb.ServicePurchase(service_id=service_id, scheduled_time=scheduled))
        case Custom(kind, custom_id, attributes):
            return pb.Purchase(custom=pb.CustomPurchase(type=kind, custom_id=custom_id, attributes=dict(attributes)))
        case _:
            assert_never(purchase)


def line_items(items: Sequence[LineItem]) -> list[purchase_pb2.LineItem]:
    """Write the lines of a checkout."""
    return [_line_item(item) for item in items]


def _line_item(item: LineItem) -> purchase_pb2.LineItem:
    if item.price_id:
        return purchase_pb2.LineItem(price_id=item.price_id, quantity=item.quantity)
    data = purchase_pb2.PriceData(
        unit_amount=money_message(item.unit_amount) if item.unit_amount else None,
        product_name=item.name,
        product_description=item.description,
        recurrence=_recurrence(item.recurrence) if item.recurrence else None,
    )
    return purchase_pb2.LineItem(price_data=data, quantity=item.quantity)


def _recurrence(recurrence: Recurrence) -> purchase_pb2.Recurrence:
    return purchase_pb2.Recurrence(interval=number_of(recurrence.interval), interval_count=recurrence.interval_count)


def money_message(money: Money) -> purchase_pb2.Money:
    """Write an amount."""
    return purchase_pb2.Money(currency_code=money.currency_code, minor_units=money.minor_units)


def filter_message(narrowed: EventFilter) -> fulfillment_event_pb2.FulfillmentFilter:
    """Write what a stream is narrowed to."""
    return fulfillment_event_pb2.FulfillmentFilter(
        organization_ids=narrowed.organization_ids,
        purchase_types=narrowed.purchase_types,
        types=[number_of(kind) for kind in narrowed.types],
        order_ids=narrowed.order_ids,
    )


def start_message(start: StartAt) -> fulfillment_event_pb2.StartPosition:
    """Write a place of the log."""
    position = fulfillment_event_pb2.StartPosition
    match start:
        case bytes():
            return position(cursor=start)
        case datetime():
            return position(time=timestamp(start))
        case Start.EARLIEST:
            return position(earliest=True)
        case Start.LATEST:
            return position(latest=True)
        case _:
            assert_never(start)


def timestamp(time: datetime) -> Timestamp:
    """Write a time; raises ValueError for one that says no time zone, as it could be any."""
    if time.tzinfo is None:
        raise ValueError(f"{time.isoformat()} says no time zone: use datetime.now(UTC), for example.")
    message = Timestamp()
    message.FromDatetime(time.astimezone(UTC))
    return message


def duration(seconds: float) -> Duration:
    """Write a number of seconds."""
    message = Duration()
    message.FromTimedelta(timedelta(seconds=seconds))
    return message
