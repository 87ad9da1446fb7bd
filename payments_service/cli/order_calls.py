"""Makes the calls about orders and has their answers shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from payments_service.cli.checkout_form import CheckoutForm, checkout_request
from payments_service.cli.option_types import FulfillmentWord, PaymentWord
from payments_service.cli.order_views import show_checkout, show_order, show_orders, show_timeline
from payments_service.cli.paging import collect_pages, show_more
from payments_service.cli.plain_words import numbers, purchase_type
from payments_service.cli.service_client import ServiceClient, open_client
from payments_service.cli.terminal import output, print_json
from payments_service.contract.pb.payments.v1.operations_pb2 import ExplainOrderRequest
from payments_service.contract.pb.payments.v1.order_pb2 import FulfillmentState, PaymentState
from payments_service.contract.pb.payments.v1.payments_pb2 import (
    CreateCheckoutRequest,
    CreateCheckoutResponse,
    ExpireCheckoutRequest,
    GetOrderRequest,
    ListOrdersRequest,
)
from payments_service.errors import CallFailedError

STRIPE_DEADLINE = 30.0
"""For calls behind which the service asks Stripe."""


@dataclass(frozen=True, slots=True)
class OrderQuery:
    """Which orders to list."""

    organization: str
    user: str
    purchase_type: str
    payment: Sequence[PaymentWord]
    fulfillment: Sequence[FulfillmentWord]
    limit: int
    page_token: str


def create_checkout(form: CheckoutForm, *, as_json: bool) -> None:
    """Create a checkout and show where to pay."""
    now = datetime.now(UTC)
    request = checkout_request(form, now)
    with open_client() as client:
        response = _create(client, request)
    if as_json:
        print_json(response)
    else:
        show_checkout(output(), response.order, response.checkout_url, now)


def list_orders(query: OrderQuery, *, as_json: bool) -> None:
    """List orders, newest first."""
    request = ListOrdersRequest(
        organization_id=query.organization,
        user_id=query.user,
        purchase_type=purchase_type(query.purchase_type),
        payment_states=numbers(PaymentState, query.payment),
        fulfillment_states=numbers(FulfillmentState, query.fulfillment),
        page_token=query.page_token,
    )
    with open_client() as client:
        response = collect_pages(client, client.payments.ListOrders, request, "orders", query.limit)
    if as_json:
        print_json(response)
    else:
        show_orders(output(), response.orders, datetime.now(UTC))
        show_more(response, len(response.orders), "orders")


def get_order(key: str, *, refresh: bool, as_json: bool) -> None:
    """Show one order."""
    with open_client() as client:
        response = client.call(client.payments.GetOrder, _by_key(key, refresh=refresh), seconds=STRIPE_DEADLINE)
    if as_json:
        print_json(response)
    else:
        show_order(output(), response.order, datetime.now(UTC))


def explain_order(key: str, *, as_json: bool) -> None:
    """Show an order's timeline."""
    with open_client() as client:
        request = ExplainOrderRequest(order_id=_order_id(client, key))
        response = client.call(client.operations.ExplainOrder, request)
    if as_json:
        print_json(response)
    else:
        show_timeline(output(), response.order, response.entries, datetime.now(UTC))


def expire_checkout(key: str, *, as_json: bool) -> None:
    """Close a checkout and show its order."""
    with open_client() as client:
        request = ExpireCheckoutRequest(order_id=_order_id(client, key))
        response = client.call(client.payments.ExpireCheckout, request, seconds=STRIPE_DEADLINE)
    if as_json:
        print_json(response)
    else:
        show_order(output(), response.order, datetime.now(UTC))


def _create(client: ServiceClient, request: CreateCheckoutRequest) -> CreateCheckoutResponse:
    """Create; where the outcome may be unknown, say how to ask again without a second order."""
    try:
        return client.call(client.payments.CreateCheckout, request, seconds=STRIPE_DEADLINE)
    except CallFailedError as error:
        answered_retryably = error.metadata["status"] == "UNAVAILABLE" and error.metadata["reason"]
        if not (answered_retryably or error.metadata["status"] == "DEADLINE_EXCEEDED"):
            raise
        again = f"{error.message} Repeat it with --request-id {request.request_id}: that never makes a second order."
        raise CallFailedError(again, **error.metadata) from error


def _order_id(client: ServiceClient, key: str) -> str:
    """Look the order up where its checkout session is named."""
    request = _by_key(key, refresh=False)
    return request.order_id or client.call(client.payments.GetOrder, request).order.order_id


def _by_key(key: str, *, refresh: bool) -> GetOrderRequest:
    if key.startswith("cs_"):
        return GetOrderRequest(checkout_session_id=key, refresh=refresh)
    return GetOrderRequest(order_id=key, refresh=refresh)
