"""Makes an operator's calls, Stripe's events, their replay, the service's state, and has the answers shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from payments_service.cli.event_views import show_changes, show_status, show_stripe_events
from payments_service.cli.option_types import StripeEventWord
from payments_service.cli.paging import collect_pages, show_more
from payments_service.cli.plain_words import numbers
from payments_service.cli.service_client import open_client
from payments_service.cli.terminal import output, print_json
from payments_service.contract.pb.payments.v1.operations_pb2 import (
    GetStatusRequest,
    ListStripeEventsRequest,
    ReplayStripeEventsRequest,
    ReplayStripeEventsResponse,
)
from payments_service.contract.pb.payments.v1.stripe_event_pb2 import StripeEvent

REPLAY_DEADLINE = 60.0


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Which of Stripe's events to list."""

    states: Sequence[StripeEventWord]
    type: str
    order: str
    limit: int
    page_token: str


def list_stripe_events(query: EventQuery, *, as_json: bool) -> None:
    """List Stripe's events, newest first."""
    request = ListStripeEventsRequest(
        states=numbers(StripeEvent.State, query.states),
        type=query.type,
        order_id=query.order,
        page_token=query.page_token,
    )
    with open_client() as client:
        response = collect_pages(client, client.operations.ListStripeEvents, request, "stripe_events", query.limit)
    if as_json:
        print_json(response)
    else:
        show_stripe_events(output(), response.stripe_events, datetime.now(UTC))
        show_more(response, len(response.stripe_events), "events")


def replay_stripe_events(
    events: Sequence[str], states: Sequence[StripeEventWord], *, dry_run: bool, as_json: bool
) -> None:
    """Replay events and show what that changed, or would change."""
    request = ReplayStripeEventsRequest(
        stripe_event_ids=events, states=numbers(StripeEvent.State, states), dry_run=dry_run
    )
    response = _replay_all(request)
    if as_json:
        print_json(response)
    else:
        show_changes(output(), response.changes, matched=response.matched, dry_run=dry_run)


def get_status(*, as_json: bool) -> None:
    """Show how the service is doing."""
    with open_client() as client:
        response = client.call(client.operations.GetStatus, GetStatusRequest())
    if as_json:
        print_json(response)
    else:
        show_status(output(), response, datetime.now(UTC))


def _replay_all(request: ReplayStripeEventsRequest) -> ReplayStripeEventsResponse:
    """Go through all pages: a replay that stopped at the first would leave the rest unseen."""
    whole = ReplayStripeEventsResponse()
    with open_client() as client:
        while True:
            page = client.call(client.operations.ReplayStripeEvents, request, seconds=REPLAY_DEADLINE)
            whole.matched += page.matched
            whole.changes.extend(page.changes)
            if not page.next_page_token:
                return whole
            request.page_token = page.next_page_token
