"""Whatever bytes come in, a servicer sees values that their types allow, or the caller learns which are not."""

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from payments_service.contract.pb.payments.v1 import payments_pb2 as pb
from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import (
    FulfillmentEvent,
    FulfillmentFilter,
    StartPosition,
)
from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import StreamFulfillmentsRequest
from payments_service.contract.pb.payments.v1.order_pb2 import FULFILLMENT_STATE_UNSPECIFIED, PAYMENT_STATE_PAID
from payments_service.contract.pb.payments.v1.purchase_pb2 import (
    CustomPurchase,
    LineItem,
    PriceData,
    Purchase,
    Recurrence,
    ServicePurchase,
)
from payments_service.errors import InvalidRequestError
from payments_service.rpc.request_rules import read_request

NEVER = Timestamp(seconds=10**15)
UNKNOWN: Any = 99


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (pb.ListOrdersRequest(payment_states=[PAYMENT_STATE_PAID, UNKNOWN]), ["payment_states[1]"]),
        (pb.ListOrdersRequest(fulfillment_states=[UNKNOWN]), ["fulfillment_states[0]"]),
        (pb.CreateCheckoutRequest(mode=UNKNOWN), ["mode"]),
        (
            pb.CreateCheckoutRequest(
                line_items=[
                    LineItem(price_id="price_1"),
                    LineItem(price_data=PriceData(recurrence=Recurrence(interval=UNKNOWN))),
                ]
            ),
            ["line_items[1].price_data.recurrence.interval"],
        ),
        (
            StreamFulfillmentsRequest(filter=FulfillmentFilter(types=[FulfillmentEvent.TYPE_FULFILLED, UNKNOWN])),
            ["filter.types[1]"],
        ),
        (StreamFulfillmentsRequest(start=StartPosition(time=NEVER)), ["start.time"]),
        (StreamFulfillmentsRequest(heartbeat_interval=Duration(seconds=10**13)), ["heartbeat_interval"]),
        (
            pb.CreateCheckoutRequest(purchase=Purchase(service=ServicePurchase(scheduled_time=NEVER))),
            ["purchase.service.scheduled_time"],
        ),
        (pb.ListOrdersRequest(user_id="a\0b"), ["user_id"]),
        (
            pb.CreateCheckoutRequest(purchase=Purchase(custom=CustomPurchase(attributes={"a\0": "b"}))),
            ["purchase.custom.attributes key"],
        ),
        (pb.CompleteFulfillmentRequest(result={"a": "\0"}), ["result[a]"]),
        (pb.ListOrdersRequest(user_id="\0", payment_states=[UNKNOWN]), ["user_id", "payment_states[0]"]),
    ],
)
def test_a_value_that_its_type_does_not_allow_is_named(request_: Message, fields: list[str]) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read_request(type(request_), request_.SerializeToString())

    assert [violation.field for violation in caught.value.violations] == fields


@pytest.mark.parametrize(
    "request_",
    [
        pb.ListOrdersRequest(payment_states=[PAYMENT_STATE_PAID], fulfillment_states=[FULFILLMENT_STATE_UNSPECIFIED]),
        StreamFulfillmentsRequest(start=StartPosition(time=Timestamp(seconds=1))),
        pb.CompleteFulfillmentRequest(result={"a": "b"}),
        pb.ListOrdersRequest(),
    ],
)
def test_a_good_request_is_read_as_it_was_sent(request_: Message) -> None:
    assert read_request(type(request_), request_.SerializeToString()) == request_


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_are_refused(data: bytes) -> None:
    for kind in (pb.CreateCheckoutRequest, pb.CompleteFulfillmentRequest, StreamFulfillmentsRequest):
        try:
            read_request(kind, data)
        except InvalidRequestError as error:
            assert error.violations  # noqa: PT017  # most random bytes are refused, some are a request
