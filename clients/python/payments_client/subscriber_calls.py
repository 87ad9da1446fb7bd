"""The calls about durable subscribers, which the contract keeps with the Operations service."""

from collections.abc import Sequence
from typing import Any

from payments_client.event_types import EventFilter, ParkedEvent, StartAt, Subscriber
from payments_client.message_reading import read_parked, read_subscriber
from payments_client.message_writing import filter_message, start_message
from payments_client.pb.payments.v1 import operations_pb2 as pb
from payments_client.pb.payments.v1 import subscriber_pb2
from payments_client.unary_calls import PagedCall, UnaryCall

SERVICE = "Operations"


def create_subscriber(
    name: str, start: StartAt, narrowed: EventFilter, shard_count: int, max_attempts: int
) -> UnaryCall[Subscriber]:
    """Create a durable subscriber."""
    wanted = subscriber_pb2.Subscriber(
        subscriber=name, filter=filter_message(narrowed), shard_count=shard_count, max_attempts=max_attempts
    )
    request = pb.CreateSubscriberRequest(subscriber=wanted, start=start_message(start))
    return UnaryCall("CreateSubscriber", request, _its_subscriber, service=SERVICE)


def _its_subscriber(response: Any) -> Subscriber:  # noqa: ANN401  # two responses are a subscriber alone
    return read_subscriber(response.subscriber)


def list_subscribers(page_size: int) -> PagedCall[Subscriber]:
    """List the durable subscribers with their backlog."""
    return PagedCall(
        "ListSubscribers",
        pb.ListSubscribersRequest(page_size=page_size),
        lambda response: tuple(map(read_subscriber, response.subscribers)),
        SERVICE,
    )


def delete_subscriber(name: str) -> UnaryCall[None]:
    """Delete one, with all that it has acknowledged and parked."""
    request = pb.DeleteSubscriberRequest(subscriber=name)
    return UnaryCall("DeleteSubscriber", request, lambda _: None, service=SERVICE)


def seek_subscriber(name: str, target: StartAt) -> UnaryCall[Subscriber]:
    """Move one to another place of the log."""
    request = pb.SeekSubscriberRequest(subscriber=name, target=start_message(target))
    return UnaryCall("SeekSubscriber", request, _its_subscriber, service=SERVICE)


def list_parked_events(name: str, page_size: int) -> PagedCall[ParkedEvent]:
    """List what was set aside."""
    return PagedCall(
        "ListParkedEvents",
        pb.ListParkedEventsRequest(subscriber=name, page_size=page_size),
        lambda response: tuple(map(read_parked, response.parked_events)),
        SERVICE,
    )


def replay_parked_events(name: str, event_ids: Sequence[str]) -> UnaryCall[int]:
    """Hand parked events out again; all of them where none is named."""
    request = pb.ReplayParkedEventsRequest(subscriber=name, event_ids=event_ids)
    return UnaryCall("ReplayParkedEvents", request, lambda response: int(response.replayed), service=SERVICE)
