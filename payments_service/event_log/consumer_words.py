"""Writes what a session says to its member; it decides nothing."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from payments_service.contract.pb.payments.v1 import fulfillment_stream_pb2 as pb
from payments_service.event_log.delivery_bytes import deliveries_response
from payments_service.event_log.event_batch import BATCH_BYTES


def opened(lease_seconds: float) -> bytes:
    """Say that the member has joined."""
    return _response(opened=pb.ConsumerOpened(lease_duration=_duration(lease_seconds)))


def heartbeat(time: datetime) -> bytes:
    """Say that the session lives."""
    now = Timestamp()
    now.FromDatetime(time)
    return _response(heartbeat=pb.Heartbeat(server_time=now))


def draining(reconnect_seconds: float) -> bytes:
    """Say that the session ends soon."""
    return _response(draining=pb.Draining(reconnect_delay=_duration(reconnect_seconds)))


def assignment(*, gained: Iterable[int] = (), lost: Iterable[int] = ()) -> bytes:
    """Say which shards have come or gone."""
    return _response(assignment=pb.Assignment(gained_shards=sorted(gained), lost_shards=sorted(lost)))


def ack_results(accepted: Iterable[bytes], failed: Iterable[tuple[bytes, str]]) -> bytes:
    """Say which answers are durable, and which were not taken."""
    failures = [pb.AckFailure(ack_id=ack_id, reason=reason) for ack_id, reason in failed]
    return _response(ack_results=pb.AckResults(accepted=accepted, failed=failures))


def deliveries(elements: Sequence[bytes]) -> Iterator[bytes]:
    """Hand events out, in responses that are not too large to send."""
    batch: list[bytes] = []
    size = 0
    for element in elements:
        if batch and size + len(element) > BATCH_BYTES:
            yield deliveries_response(batch)
            batch, size = [], 0
        batch.append(element)
        size += len(element)
    if batch:
        yield deliveries_response(batch)


def _response(**said: object) -> bytes:
    return pb.ConsumeFulfillmentsResponse(**said).SerializeToString()  # type: ignore[arg-type]  # each names its field


def _duration(seconds: float) -> Duration:
    message = Duration()
    message.FromTimedelta(timedelta(seconds=seconds))
    return message
