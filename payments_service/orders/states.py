"""The states of an order and of an event in the inbox, as numbered in the contract; a test holds them together."""

from enum import IntEnum


class PaymentState(IntEnum):
    """Where the money is."""

    UNSPECIFIED = 0
    OPEN = 1
    AWAITING_FUNDS = 2
    PAID = 3
    FAILED = 4
    EXPIRED = 5
    PARTIALLY_REFUNDED = 6
    REFUNDED = 7
    DISPUTED = 8
    CHARGED_BACK = 9
    CREATING = 10
    REJECTED = 11


class FulfillmentState(IntEnum):
    """How far the purchase was handed over."""

    UNSPECIFIED = 0
    PENDING = 1
    AWAITING_OWNER = 2
    FULFILLED = 3
    FAILED = 4
    REVOKED = 5


class StripeEventState(IntEnum):
    """What became of one of Stripe's events."""

    UNSPECIFIED = 0
    PENDING = 1
    APPLIED = 2
    UNCLAIMED = 3
    IGNORED = 4
    FAILED = 5
    DEFERRED = 6


class SubscriptionState(IntEnum):
    """How a subscription stands."""

    UNSPECIFIED = 0
    ACTIVE = 1
    PAST_DUE = 2
    PAUSED = 3
    CANCELED = 4
    TRIALING = 5
    UNPAID = 6
    INCOMPLETE = 7


class RefundState(IntEnum):
    """How far a refund has come."""

    UNSPECIFIED = 0
    REQUESTED = 1
    PENDING = 2
    SUCCEEDED = 3
    FAILED = 4
    CANCELED = 5
