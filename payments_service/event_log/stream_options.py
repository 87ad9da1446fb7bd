"""Reads how a stream wants to be served, batch size, delay and heartbeat, and clamps or refuses; it reads no log."""

from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentFilter
from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import StreamFulfillmentsRequest
from payments_service.errors import FieldViolation, InvalidRequestError
from payments_service.event_log.stream_filter import filter_violations

DEFAULT_BATCH, LARGEST_BATCH = 100, 500
DEFAULT_HEARTBEAT, SHORTEST_HEARTBEAT, LONGEST_HEARTBEAT = 15.0, 1.0, 60.0


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """What one stream was promised; seconds."""

    filter: FulfillmentFilter
    batch_size: int
    batch_delay: float
    """How long a batch that is not full waits for more; no longer than to the next heartbeat."""
    heartbeat: float


def read_options(request: StreamFulfillmentsRequest) -> StreamOptions:
    """Raise InvalidRequestError with every violation of the request, its filter's too."""
    violations = [*filter_violations(request.filter), *_violations(request)]
    if violations:
        raise InvalidRequestError(violations)
    heartbeat = _seconds(request.heartbeat_interval) or DEFAULT_HEARTBEAT
    return StreamOptions(
        filter=request.filter,
        batch_size=request.max_batch_size or DEFAULT_BATCH,
        batch_delay=_seconds(request.max_batch_delay),
        heartbeat=min(max(heartbeat, SHORTEST_HEARTBEAT), LONGEST_HEARTBEAT),
    )


def _violations(request: StreamFulfillmentsRequest) -> Iterator[FieldViolation]:
    if not 0 <= request.max_batch_size <= LARGEST_BATCH:
        yield FieldViolation(
            "max_batch_size", f"must be between 1 and {LARGEST_BATCH}; leave it out for {DEFAULT_BATCH}"
        )
    if _seconds(request.max_batch_delay) < 0:
        yield FieldViolation("max_batch_delay", "is negative; leave it out to be sent each event at once")


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9
