"""Every call that is answered once, written down once for both clients: its request, its deadline, how to read it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import uuid4

from google.protobuf.message import Message

from payments_client.enum_names import number_of
from payments_client.enumerations import FulfillmentState, Mode, PaymentState, RefundReason
from payments_client.message_reading import read_entitlement, read_fulfillment, read_order, read_refund
from payments_client.message_writing import line_items, money_message, purchase_message, timestamp
from payments_client.money import Money
from payments_client.order_types import Checkout, Entitlement, Fulfillment, Order, Refunded
from payments_client.pb.payments.v1 import payments_pb2 as pb
from payments_client.purchase_types import LineItem, Purchase

T = TypeVar("T")
READ_SECONDS = 10.0
STRIPE_SECONDS = 30.0
"""The service may ask Stripe, for 25 s at most; a bit more tells its answer from silence."""


@dataclass(frozen=True, slots=True)
class UnaryCall(Generic[T]):
    """One call, ready to be sent as often as it takes: its request, and so its request_id, stays the same."""

    method: str
    request: Message
    read: Callable[[Any], T]
    seconds: float = READ_SECONDS
    request_id: str = ""
    service: str = "Payments"


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A page of a list; the token is empty at the last one."""

    items: tuple[T, ...]
    next_page_token: str


@dataclass(frozen=True, slots=True)
class PagedCall(Generic[T]):
    """A list, read page by page."""

    method: str
    request: Message
    """Without a page token."""
    read: Callable[[Any], tuple[T, ...]]
    service: str = "Payments"

    def page(self, token: str) -> UnaryCall[Page[T]]:
        """Give the call for one page."""
        request = type(self.request)()
        request.CopyFrom(self.request)
        request.page_token = token  # type: ignore[attr-defined]  # each list's request has it
        return UnaryCall(self.method, request, self._page, service=self.service)

    def _page(self, response: Any) -> Page[T]:  # noqa: ANN401  # each list has its own
        return Page(self.read(response), response.next_page_token)


def create_checkout(
    *,
    organization_id: str,
    user_id: str,
    purchase: Purchase,
    items: Sequence[LineItem],
    mode: Mode,
    success_url: str,
    cancel_url: str,
    expire_time: datetime | None,
    customer_email: str,
    customer_id: str,
    allow_promotion_codes: bool,
    automatic_tax: bool,
    request_id: str,
) -> UnaryCall[Checkout]:
    """Create a checkout; without a request_id it gets one of its own."""
    request = pb.CreateCheckoutRequest(
        request_id=request_id or str(uuid4()),
        organization_id=organization_id,
        user_id=user_id,
        purchase=purchase_message(purchase),
        line_items=line_items(items),
        mode=number_of(mode),
        success_url=success_url,
        cancel_url=cancel_url,
        expire_time=timestamp(expire_time) if expire_time else None,
        customer_email=customer_email,
        customer_id=customer_id,
        allow_promotion_codes=allow_promotion_codes,
        automatic_tax=automatic_tax,
    )

    def read(response: pb.CreateCheckoutResponse) -> Checkout:
        return Checkout(read_order(response.order), response.checkout_url, request.request_id)

    return UnaryCall("CreateCheckout", request, read, STRIPE_SECONDS, request.request_id)


def _its_order(response: Any) -> Order:  # noqa: ANN401  # many responses are an order alone
    return read_order(response.order)


def expire_checkout(order_id: str) -> UnaryCall[Order]:
    """Close an open checkout."""
    return UnaryCall("ExpireCheckout", pb.ExpireCheckoutRequest(order_id=order_id), _its_order, STRIPE_SECONDS)


def get_order(order_id: str, checkout_session_id: str, refresh: bool) -> UnaryCall[Order]:
    """Read an order by one of its ids; raises ValueError where there is not one id."""
    request = pb.GetOrderRequest(refresh=refresh, **order_key(order_id, checkout_session_id))
    return UnaryCall("GetOrder", request, _its_order, STRIPE_SECONDS if refresh else READ_SECONDS)


def order_key(order_id: str, checkout_session_id: str) -> dict[str, str]:
    """Name an order by the one id that is given; raises ValueError."""
    if bool(order_id) == bool(checkout_session_id):
        raise ValueError("Name the order by order_id or by checkout_session_id, one of them.")
    return {"order_id": order_id} if order_id else {"checkout_session_id": checkout_session_id}


def list_orders(
    organization_id: str,
    user_id: str,
    purchase_type: str,
    payment_states: Sequence[PaymentState],
    fulfillment_states: Sequence[FulfillmentState],
    page_size: int,
) -> PagedCall[Order]:
    """List orders, newest first."""
    request = pb.ListOrdersRequest(
        organization_id=organization_id,
        user_id=user_id,
        purchase_type=purchase_type,
        payment_states=[number_of(state) for state in payment_states],
        fulfillment_states=[number_of(state) for state in fulfillment_states],
        page_size=page_size,
    )
    return PagedCall("ListOrders", request, lambda response: tuple(map(read_order, response.orders)))


def refund_order(
    order_id: str, amount: Money | None, reason: RefundReason, fulfillment_id: str, request_id: str
) -> UnaryCall[Refunded]:
    """Give money back; without a request_id it gets one of its own."""
    request = pb.RefundOrderRequest(
        request_id=request_id or str(uuid4()),
        order_id=order_id,
        amount=money_message(amount) if amount else None,
        reason=number_of(reason),
        fulfillment_id=fulfillment_id,
    )

    def read(response: pb.RefundOrderResponse) -> Refunded:
        return Refunded(read_order(response.order), read_refund(response.refund))

    return UnaryCall("RefundOrder", request, read, STRIPE_SECONDS, request.request_id)


def cancel_subscription(order_id: str, at_period_end: bool, request_id: str) -> UnaryCall[Order]:
    """End a subscription; without a request_id it gets one of its own."""
    request = pb.CancelSubscriptionRequest(
        request_id=request_id or str(uuid4()), order_id=order_id, at_period_end=at_period_end
    )
    return UnaryCall("CancelSubscription", request, _its_order, STRIPE_SECONDS, request.request_id)


def complete_fulfillment(fulfillment_id: str, result: Mapping[str, str], generation: int) -> UnaryCall[Order]:
    """Report that it is done."""
    request = pb.CompleteFulfillmentRequest(fulfillment_id=fulfillment_id, result=result, generation=generation)
    return UnaryCall("CompleteFulfillment", request, _its_order)


def fail_fulfillment(fulfillment_id: str, error: str, retry: bool, generation: int) -> UnaryCall[Order]:
    """Report that it cannot be done."""
    request = pb.FailFulfillmentRequest(fulfillment_id=fulfillment_id, error=error, retry=retry, generation=generation)
    return UnaryCall("FailFulfillment", request, _its_order)


def list_fulfillments(order_id: str, page_size: int) -> PagedCall[Fulfillment]:
    """List what an order owes and owed, newest first."""
    request = pb.ListFulfillmentsRequest(order_id=order_id, page_size=page_size)
    return PagedCall("ListFulfillments", request, lambda response: tuple(map(read_fulfillment, response.fulfillments)))


def list_entitlements(
    organization_id: str, user_id: str, resource: str, active_only: bool, page_size: int
) -> PagedCall[Entitlement]:
    """List what users may use, the newest grant first."""
    request = pb.ListEntitlementsRequest(
        organization_id=organization_id,
        user_id=user_id,
        resource=resource,
        active_only=active_only,
        page_size=page_size,
    )
    return PagedCall("ListEntitlements", request, lambda response: tuple(map(read_entitlement, response.entitlements)))
