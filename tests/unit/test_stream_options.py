"""A stream's wishes are clamped or refused as the contract says."""

import pytest
from google.protobuf.duration_pb2 import Duration

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentFilter
from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import StreamFulfillmentsRequest
from payments_service.errors import InvalidRequestError
from payments_service.event_log.stream_options import read_options


def test_what_is_left_out_has_its_default() -> None:
    options = read_options(StreamFulfillmentsRequest())

    assert (options.batch_size, options.batch_delay, options.heartbeat) == (100, 0.0, 15.0)


@pytest.mark.parametrize(
    ("asked", "given"), [(-5, 1.0), (0, 15.0), (0.2, 1.0), (1, 1.0), (20, 20.0), (60, 60.0), (10**12, 60.0)]
)
def test_a_heartbeat_is_clamped(asked: float, given: float) -> None:
    duration = Duration(seconds=int(asked), nanos=int(asked % 1 * 1e9) if asked > 0 else 0)

    assert read_options(StreamFulfillmentsRequest(heartbeat_interval=duration)).heartbeat == given


@pytest.mark.parametrize("size", [1, 500])
def test_a_batch_size_within_its_bounds_is_taken(size: int) -> None:
    assert read_options(StreamFulfillmentsRequest(max_batch_size=size)).batch_size == size


@pytest.mark.parametrize("size", [-1, 501])
def test_a_batch_size_beyond_its_bounds_is_refused(size: int) -> None:
    with pytest.raises(InvalidRequestError, match="max_batch_size: must be between 1 and 500"):
        read_options(StreamFulfillmentsRequest(max_batch_size=size))


def test_all_that_is_wrong_is_named_with_the_filters_faults() -> None:
    request = StreamFulfillmentsRequest(
        filter=FulfillmentFilter(types=[99]),  # type: ignore[list-item]  # a client may send any number
        max_batch_size=501,
        max_batch_delay=Duration(seconds=-1),
    )

    with pytest.raises(InvalidRequestError) as raised:
        read_options(request)

    fields = [violation.field for violation in raised.value.violations]
    assert fields == ["filter.types[0]", "max_batch_size", "max_batch_delay"]
