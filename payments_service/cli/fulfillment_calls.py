"""Makes the calls about fulfillments and entitlements and has their answers shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from payments_service.cli.checkout_form import pairs
from payments_service.cli.order_views import show_entitlements, show_order
from payments_service.cli.paging import collect_pages, show_more
from payments_service.cli.service_client import open_client
from payments_service.cli.terminal import output, print_json
from payments_service.contract.pb.payments.v1.operations_pb2 import RetryFulfillmentRequest, RetryFulfillmentResponse
from payments_service.contract.pb.payments.v1.payments_pb2 import (
    CompleteFulfillmentRequest,
    CompleteFulfillmentResponse,
    FailFulfillmentRequest,
    FailFulfillmentResponse,
    ListEntitlementsRequest,
)


@dataclass(frozen=True, slots=True)
class EntitlementQuery:
    """Which entitlements to list."""

    organization: str
    user: str
    resource: str
    active_only: bool
    limit: int
    page_token: str


def list_entitlements(query: EntitlementQuery, *, as_json: bool) -> None:
    """List what purchases granted."""
    request = ListEntitlementsRequest(
        organization_id=query.organization,
        user_id=query.user,
        resource=query.resource,
        active_only=query.active_only,
        page_token=query.page_token,
    )
    with open_client() as client:
        response = collect_pages(client, client.payments.ListEntitlements, request, "entitlements", query.limit)
    if as_json:
        print_json(response)
    else:
        show_entitlements(output(), response.entitlements, datetime.now(UTC))
        show_more(response, len(response.entitlements), "entitlements")


def complete_fulfillment(fulfillment_id: str, results: Sequence[str], generation: int, *, as_json: bool) -> None:
    """Report a success and show the order that it leaves."""
    request = CompleteFulfillmentRequest(
        fulfillment_id=fulfillment_id, result=pairs(results, "--result"), generation=generation
    )
    with open_client() as client:
        _answer(client.call(client.payments.CompleteFulfillment, request), as_json=as_json)


def fail_fulfillment(fulfillment_id: str, error: str, generation: int, *, retry: bool, as_json: bool) -> None:
    """Report a failure and show the order that it leaves."""
    request = FailFulfillmentRequest(fulfillment_id=fulfillment_id, error=error, retry=retry, generation=generation)
    with open_client() as client:
        _answer(client.call(client.payments.FailFulfillment, request), as_json=as_json)


def retry_fulfillment(fulfillment_id: str, *, as_json: bool) -> None:
    """Have a failed fulfillment tried again and show the order that it leaves."""
    request = RetryFulfillmentRequest(fulfillment_id=fulfillment_id)
    with open_client() as client:
        _answer(client.call(client.operations.RetryFulfillment, request), as_json=as_json)


def _answer(
    response: CompleteFulfillmentResponse | FailFulfillmentResponse | RetryFulfillmentResponse, *, as_json: bool
) -> None:
    if as_json:
        print_json(response)
    else:
        show_order(output(), response.order, datetime.now(UTC))
