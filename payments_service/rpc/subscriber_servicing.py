"""Serves what owners and operators ask of durable subscribers: make, list, move, delete, bring parked events back."""

from datetime import UTC, datetime

from google.protobuf.message import Message

from payments_service.contract.pb.payments.v1 import operations_pb2 as pb
from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentFilter
from payments_service.contract.pb.payments.v1.subscriber_pb2 import ParkedEvent, Subscriber
from payments_service.errors import FieldViolation, InvalidRequestError
from payments_service.event_log.subscriber_registry import SubscriberRegistry, SubscriberStanding, parked_event
from payments_service.orders.order_message import timestamp
from payments_service.rpc.call_interceptor import Call
from payments_service.rpc.page_filling import fill_page, rows_wanted
from payments_service.rpc.page_token import PageKey, page_key
from payments_service.rpc.request_rules import require_field

MOST_REPLAYED = 1000
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""Subscribers are listed by name, and a page's key has a time."""


class SubscriberServicing:
    """The part of the service `payments.v1.Operations` that is about subscribers."""

    def __init__(self, subscribers: SubscriberRegistry) -> None:
        """Take who does the work."""
        self._subscribers = subscribers

    async def create_subscriber(self, request: pb.CreateSubscriberRequest, call: Call) -> pb.CreateSubscriberResponse:
        """Make a subscriber that is the caller's."""
        standing = await self._subscribers.create(request.subscriber, request.start, call.caller)
        return pb.CreateSubscriberResponse(subscriber=subscriber_message(standing))

    async def list_subscribers(self, request: pb.ListSubscribersRequest, call: Call) -> pb.ListSubscribersResponse:
        """List the caller's subscribers by name."""
        key, wanted = page_key(request), rows_wanted(request)
        standings = await self._subscribers.list_all(call.caller, key[1] if key else None, wanted)
        shown, token = fill_page(
            request, standings, subscriber_message, lambda standing: (_NO_TIME, standing.row.subscriber)
        )
        return pb.ListSubscribersResponse(subscribers=shown, next_page_token=token)

    async def delete_subscriber(self, request: pb.DeleteSubscriberRequest, call: Call) -> pb.DeleteSubscriberResponse:
        """Delete a subscriber."""
        require_field("subscriber", request.subscriber)
        await self._subscribers.delete(request.subscriber, call.caller)
        return pb.DeleteSubscriberResponse()

    async def seek_subscriber(self, request: pb.SeekSubscriberRequest, call: Call) -> pb.SeekSubscriberResponse:
        """Move a subscriber."""
        require_field("subscriber", request.subscriber)
        standing = await self._subscribers.seek(request.subscriber, request.target, call.caller)
        return pb.SeekSubscriberResponse(subscriber=subscriber_message(standing))

    async def list_parked_events(self, request: pb.ListParkedEventsRequest, call: Call) -> pb.ListParkedEventsResponse:
        """List what a subscriber's members could not do, the last parked first."""
        require_field("subscriber", request.subscriber)
        after, wanted = _parked_key(request), rows_wanted(request)
        rows, log_id = await self._subscribers.list_parked(request.subscriber, call.caller, after, wanted)
        shown, token = fill_page(
            request,
            rows,
            lambda row: ParkedEvent(
                event=parked_event(row, log_id),
                attempts=row.attempts,
                last_reason=row.reason,
                park_time=timestamp(row.park_time),
            ),
            lambda row: (row.park_time, str(row.entry.position)),
        )
        return pb.ListParkedEventsResponse(parked_events=shown, next_page_token=token)

    async def replay_parked_events(
        self, request: pb.ReplayParkedEventsRequest, call: Call
    ) -> pb.ReplayParkedEventsResponse:
        """Hand parked events out again."""
        require_field("subscriber", request.subscriber)
        if len(request.event_ids) > MOST_REPLAYED:
            raise InvalidRequestError([FieldViolation("event_ids", f"at most {MOST_REPLAYED} at a time")])
        replayed = await self._subscribers.replay_parked(request.subscriber, request.event_ids, call.caller)
        return pb.ReplayParkedEventsResponse(replayed=replayed)


def subscriber_message(standing: SubscriberStanding) -> Subscriber:
    """Show a subscriber and how it stands."""
    row = standing.row
    return Subscriber(
        subscriber=row.subscriber,
        filter=FulfillmentFilter.FromString(row.filter),
        shard_count=row.shard_count,
        max_attempts=row.max_attempts,
        backlog=standing.backlog,
        parked=standing.parked,
        members=standing.members,
        create_time=timestamp(row.create_time),
        owner=row.owner,
        state=Subscriber.STATE_LOST_DATA if standing.has_lost_data else Subscriber.STATE_ACTIVE,
    )


def _parked_key(request: Message) -> tuple[datetime, int] | None:
    key: PageKey | None = page_key(request)
    return None if key is None else (key[0], int(key[1]))
