"""Translates the contract's enum numbers to names and back; a number that is not known here is UNRECOGNIZED."""

from enum import StrEnum
from typing import Any, TypeVar

from google.protobuf.descriptor import EnumDescriptor

from payments_client.enumerations import (
    EventType,
    FulfillmentState,
    Interval,
    Mode,
    PaymentState,
    RefundReason,
    RefundState,
    SubscriberState,
    SubscriptionState,
    WaitUntil,
)
from payments_client.pb.payments.v1 import fulfillment_event_pb2, order_pb2, payments_pb2, purchase_pb2, subscriber_pb2

E = TypeVar("E", bound=StrEnum)

DESCRIPTORS: dict[type[StrEnum], EnumDescriptor] = {
    Mode: order_pb2.DESCRIPTOR.enum_types_by_name["Mode"],
    PaymentState: order_pb2.DESCRIPTOR.enum_types_by_name["PaymentState"],
    FulfillmentState: order_pb2.DESCRIPTOR.enum_types_by_name["FulfillmentState"],
    SubscriptionState: order_pb2.DESCRIPTOR.enum_types_by_name["SubscriptionState"],
    RefundState: order_pb2.Refund.DESCRIPTOR.enum_types_by_name["State"],
    RefundReason: payments_pb2.RefundOrderRequest.DESCRIPTOR.enum_types_by_name["Reason"],
    WaitUntil: payments_pb2.WaitOrderRequest.DESCRIPTOR.enum_types_by_name["Until"],
    Interval: purchase_pb2.Recurrence.DESCRIPTOR.enum_types_by_name["Interval"],
    EventType: fulfillment_event_pb2.FulfillmentEvent.DESCRIPTOR.enum_types_by_name["Type"],
    SubscriberState: subscriber_pb2.Subscriber.DESCRIPTOR.enum_types_by_name["State"],
}


def _short_names(descriptor: EnumDescriptor) -> dict[int, str]:
    """Name the values without their prefix, which is what UNSPECIFIED has before it."""
    prefix = descriptor.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return {value.number: value.name.removeprefix(prefix) for value in descriptor.values}


_MEMBERS: dict[type[StrEnum], dict[int, StrEnum]] = {
    kind: {number: kind(name) for number, name in _short_names(descriptor).items()}
    for kind, descriptor in DESCRIPTORS.items()
}
_NUMBERS: dict[type[StrEnum], dict[StrEnum, int]] = {
    kind: {member: number for number, member in members.items()} for kind, members in _MEMBERS.items()
}


def member_of(kind: type[E], number: int) -> E:
    """Give the member that a number stands for."""
    return _MEMBERS[kind].get(number) or kind("UNRECOGNIZED")  # type: ignore[return-value]  # its members are its own


def number_of(member: StrEnum) -> Any:  # noqa: ANN401  # each stub names its own type for it
    """Give a member's number; raises ValueError for UNRECOGNIZED, which has none."""
    number = _NUMBERS[type(member)].get(member)
    if number is None:
        raise ValueError(f"{type(member).__name__}.UNRECOGNIZED cannot be sent: it stands for values not known here.")
    return number
