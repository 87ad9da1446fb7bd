"""Serves what operators ask: how the service stands, what became of Stripe's events, and to work on one again."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC

from google.protobuf.duration_pb2 import Duration

from payments_service.contract.pb.payments.v1 import operations_pb2 as pb
from payments_service.contract.pb.payments.v1.stripe_event_pb2 import StripeEvent
from payments_service.errors import (
    FieldViolation,
    InvalidRequestError,
    OrderNotFoundError,
    StripeEventNotFoundError,
)
from payments_service.event_log.subscriber_registry import SubscriberRegistry
from payments_service.fulfillment.desk import FulfillmentDesk
from payments_service.inbox.reconciler import Reconciler
from payments_service.inbox.replay import EventReplay
from payments_service.orders.order_message import order_message, timestamp
from payments_service.orders.order_parts import parts_of
from payments_service.orders.order_story import order_story
from payments_service.orders.states import FulfillmentState, StripeEventState
from payments_service.rpc.call_interceptor import Call
from payments_service.rpc.page_filling import fill_page, rows_wanted
from payments_service.rpc.page_token import page_key, page_size, page_token
from payments_service.rpc.request_rules import require_field
from payments_service.rpc.stripe_event_message import stripe_event_message
from payments_service.rpc.subscriber_servicing import SubscriberServicing
from payments_service.storage.database import Database
from payments_service.storage.fulfillment_rows import count_fulfillments
from payments_service.storage.inbox_rows import StripeEventFilter, count_events, find_event, list_events
from payments_service.storage.log_rows import read_head
from payments_service.storage.order_rows import find_order
from payments_service.storage.reconcile_rows import last_reconcile_time

MAX_REPLAYED = 500


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """What this installation is; names only, never a URL, which may hold a password."""

    version: str
    livemode: bool
    broker: str
    """`memory`, `rabbitmq` or `redis`."""
    database: str
    """`sqlite` or `postgresql`."""


class OperationsServicer(SubscriberServicing):
    """The service `payments.v1.Operations`; the method table finds its methods by their names."""

    def __init__(  # noqa: PLR0913  # one stage each
        self,
        *,
        database: Database,
        desk: FulfillmentDesk,
        replay: EventReplay,
        reconciler: Reconciler,
        subscribers: SubscriberRegistry,
        facts: ServiceFacts,
    ) -> None:
        """Take the stages that do the work."""
        super().__init__(subscribers)
        self._reconciler = reconciler
        self._database = database
        self._desk = desk
        self._replay = replay
        self._facts = facts

    async def get_status(self, _: pb.GetStatusRequest, __: Call) -> pb.GetStatusResponse:
        """Tell how much waits, how much has failed, and how far the log is."""
        async with self._database.reading() as reading:
            events = await count_events(reading, [StripeEventState.PENDING])
            fulfillments = await count_fulfillments(reading)
            head = await read_head(reading)
            reconciled = await last_reconcile_time(reading)
        status = pb.GetStatusResponse(
            version=self._facts.version,
            livemode=self._facts.livemode,
            pending_stripe_events=events.by_state.get(StripeEventState.PENDING, 0),
            failed_stripe_events=events.by_state.get(StripeEventState.FAILED, 0),
            pending_fulfillments=fulfillments.get(FulfillmentState.PENDING, 0),
            failed_fulfillments=fulfillments.get(FulfillmentState.FAILED, 0),
            log_head=head.position,
            last_reconcile_time=timestamp(reconciled),
            broker=self._facts.broker,
            database=self._facts.database,
        )
        if events.oldest_pending_age is not None:
            age = Duration()
            age.FromTimedelta(events.oldest_pending_age)
            status.oldest_pending_age.CopyFrom(age)
        return status

    async def list_stripe_events(self, request: pb.ListStripeEventsRequest, _: Call) -> pb.ListStripeEventsResponse:
        """List the inbox, the last received first, without payloads."""
        _require_states(request.states)
        narrowed = StripeEventFilter(states=tuple(request.states), type=request.type, order_id=request.order_id)
        key, wanted = page_key(request), rows_wanted(request)
        async with self._database.reading() as reading:
            rows = await list_events(reading, narrowed, key, wanted)
        events, token = fill_page(
            request, rows, stripe_event_message, lambda row: (row.receive_time, row.stripe_event_id)
        )
        return pb.ListStripeEventsResponse(stripe_events=events, next_page_token=token)

    async def get_stripe_event(self, request: pb.GetStripeEventRequest, _: Call) -> pb.GetStripeEventResponse:
        """Give one event with its payload."""
        require_field("stripe_event_id", request.stripe_event_id)
        async with self._database.reading() as reading:
            row = await find_event(reading, request.stripe_event_id)
        if row is None:
            wanted = request.stripe_event_id
            raise StripeEventNotFoundError(f"There is no event {wanted!r} in the inbox.", stripe_event_id=wanted)
        return pb.GetStripeEventResponse(stripe_event=stripe_event_message(row, with_payload=True))

    async def replay_stripe_events(
        self, request: pb.ReplayStripeEventsRequest, _: Call
    ) -> pb.ReplayStripeEventsResponse:
        """Work on events again, or tell what that would change."""
        _require_replayable(request)
        page = await self._replay.replay(
            stripe_event_ids=request.stripe_event_ids,
            states=request.states,
            dry_run=request.dry_run,
            after=page_key(request),
            limit=page_size(request),
        )
        token = page_token(request, page.next_key) if page.next_key else ""
        return pb.ReplayStripeEventsResponse(matched=page.matched, changes=page.changes, next_page_token=token)

    async def reconcile(self, request: pb.ReconcileRequest, _: Call) -> pb.ReconcileResponse:
        """Read Stripe's list of events again."""
        start = request.start_time.ToDatetime(UTC) if request.HasField("start_time") else None
        end = request.end_time.ToDatetime(UTC) if request.HasField("end_time") else None
        reconciled = await self._reconciler.reconcile(start, end)
        return pb.ReconcileResponse(listed=reconciled.listed, missed=reconciled.missed)

    async def retry_fulfillment(self, request: pb.RetryFulfillmentRequest, call: Call) -> pb.RetryFulfillmentResponse:
        """Try a failed fulfillment again."""
        require_field("fulfillment_id", request.fulfillment_id)
        return pb.RetryFulfillmentResponse(order=await self._desk.retry(request.fulfillment_id, call.caller.scope))

    async def explain_order(self, request: pb.ExplainOrderRequest, call: Call) -> pb.ExplainOrderResponse:
        """Tell an order's story."""
        require_field("order_id", request.order_id)
        async with self._database.reading() as reading:
            row = await find_order(reading, request.order_id, call.caller.scope)
            if row is None:
                raise OrderNotFoundError(f"There is no order {request.order_id!r}.", order_id=request.order_id)
            parts = await parts_of(reading, row.order_id)
            entries = await order_story(reading, row)
        return pb.ExplainOrderResponse(order=order_message(row, parts), entries=entries)


def _require_replayable(request: pb.ReplayStripeEventsRequest) -> None:
    if not request.stripe_event_ids and not request.states:
        raise InvalidRequestError([FieldViolation("stripe_event_ids", "name events, or set states")])
    if len(request.stripe_event_ids) > MAX_REPLAYED:
        raise InvalidRequestError([FieldViolation("stripe_event_ids", f"at most {MAX_REPLAYED} at a time")])
    _require_states(request.states)


def _require_states(states: Iterable[StripeEvent.State.ValueType]) -> None:
    if StripeEvent.STATE_UNSPECIFIED in states:
        raise InvalidRequestError([FieldViolation("states", "no event's is UNSPECIFIED: leave it out")])
