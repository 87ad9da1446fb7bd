"""Orders and what hangs on them, as the service answers: frozen, with aware times in UTC, None where there is none."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from payments_client.enumerations import FulfillmentState, Mode, PaymentState, RefundState, SubscriptionState
from payments_client.money import Money
from payments_client.purchase_types import Purchase


@dataclass(frozen=True, slots=True)
class Refund:
    """Money given back, or about to be."""

    refund_id: str
    amount: Money | None
    state: RefundState
    fulfillment_id: str
    """The payment that it gives back."""
    create_time: datetime | None


@dataclass(frozen=True, slots=True)
class Fulfillment:
    """One thing owed for one payment: the checkout's, or one paid invoice's of a subscription."""

    fulfillment_id: str
    source_id: str
    """The checkout session's id, or the invoice's."""
    state: FulfillmentState
    attempts: int
    last_error: str
    result: Mapping[str, str]
    """What the fulfiller produced: a licence key, a booking."""
    update_time: datetime | None
    generation: int
    """One more each time it is granted again after a revocation; a report names the one that it answers."""
    amount: Money | None
    refunded: Money | None
    payment_intent_id: str
    period_start: datetime | None
    """Subscriptions: what this payment covers."""
    period_end: datetime | None


@dataclass(frozen=True, slots=True)
class Order:
    """A purchase from its checkout on."""

    order_id: str
    organization_id: str
    user_id: str
    purchase: Purchase | None
    """None where a newer service sells what this client does not know."""
    mode: Mode
    payment_state: PaymentState
    fulfillment_state: FulfillmentState
    total: Money | None
    refunded: Money | None
    checkout_session_id: str
    checkout_url: str
    """While it is open."""
    payment_intent_id: str
    subscription_id: str
    subscription_state: SubscriptionState
    livemode: bool
    version: int
    """One more with each event of the order."""
    create_time: datetime | None
    update_time: datetime | None
    expire_time: datetime | None
    fulfillments: tuple[Fulfillment, ...]
    """The newest 20."""
    created_by: str
    """The caller's name; "stripe" for an order that was adopted."""
    stripe_account: str
    cancel_at_period_end: bool
    current_period_end: datetime | None
    refunds: tuple[Refund, ...]
    """The newest 20."""
    fulfillment_count: int


@dataclass(frozen=True, slots=True)
class Checkout:
    """A checkout that a buyer can be sent to."""

    order: Order
    url: str
    request_id: str
    """Sent again with the same arguments, it gives the same order and never a second checkout."""


@dataclass(frozen=True, slots=True)
class Refunded:
    """What became of a refund that was asked for."""

    order: Order
    refund: Refund


@dataclass(frozen=True, slots=True)
class OrderWait:
    """What a wait ended with."""

    order: Order
    settled: bool
    """Whether what was waited for has come or can no longer come; False where the time was up."""


@dataclass(frozen=True, slots=True)
class Entitlement:
    """What a user may use."""

    organization_id: str
    user_id: str
    resource: str
    """Such as "courses/intro-to-sql"."""
    order_id: str
    active: bool
    grant_time: datetime | None
    expire_time: datetime | None
    revoke_time: datetime | None
    quantity: int
    """Seats."""
