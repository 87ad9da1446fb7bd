"""The contract's enums, by their names without the prefix; a value that a newer service invented is UNRECOGNIZED."""

from enum import StrEnum


class Mode(StrEnum):
    """Whether a checkout is paid once or again and again."""

    UNSPECIFIED = "UNSPECIFIED"
    UNRECOGNIZED = "UNRECOGNIZED"
    PAYMENT = "PAYMENT"
    SUBSCRIPTION = "SUBSCRIPTION"


class PaymentState(StrEnum):
    """Where the money of an order is."""

    UNSPECIFIED = "UNSPECIFIED"
    UNRECOGNIZED = "UNRECOGNIZED"
    CREATING = "CREATING"
    """Committed by the service; Stripe has not answered yet."""
    OPEN = "OPEN"
    AWAITING_FUNDS = "AWAITING_FUNDS"
    """The checkout is completed and a delayed payment method has not settled."""
    PAID = "PAID"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"
    PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED"
    REFUNDED = "REFUNDED"
    DISPUTED = "DISPUTED"
    CHARGED_BACK = "CHARGED_BACK"
    REJECTED = "REJECTED"
    """Stripe refused the checkout."""


class FulfillmentState(StrEnum):
    """Whether what was paid for has been given."""

    UNSPECIFIED = "UNSPECIFIED"
    """Nothing is owed yet."""
    UNRECOGNIZED = "UNRECOGNIZED"
    PENDING = "PENDING"
    AWAITING_OWNER = "AWAITING_OWNER"
    """Handed to the owning service, which has to complete or fail it."""
    FULFILLED = "FULFILLED"
    FAILED = "FAILED"
    REVOKED = "REVOKED"


class SubscriptionState(StrEnum):
    """Where a subscription stands; UNSPECIFIED where an order is none."""

    UNSPECIFIED = "UNSPECIFIED"
    UNRECOGNIZED = "UNRECOGNIZED"
    INCOMPLETE = "INCOMPLETE"
    TRIALING = "TRIALING"
    ACTIVE = "ACTIVE"
    PAST_DUE = "PAST_DUE"
    UNPAID = "UNPAID"
    PAUSED = "PAUSED"
    CANCELED = "CANCELED"


class RefundState(StrEnum):
    """How far a refund has come."""

    UNSPECIFIED = "UNSPECIFIED"
    UNRECOGNIZED = "UNRECOGNIZED"
    REQUESTED = "REQUESTED"
    PENDING = "PENDING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"


class RefundReason(StrEnum):
    """Why money is given back, as Stripe names it."""

    UNSPECIFIED = "UNSPECIFIED"
    UNRECOGNIZED = "UNRECOGNIZED"
    REQUESTED_BY_CUSTOMER = "REQUESTED_BY_CUSTOMER"
    DUPLICATE = "DUPLICATE"
    FRAUDULENT = "FRAUDULENT"


class Interval(StrEnum):
    """How often a subscription is paid."""

    UNSPECIFIED = "UNSPECIFIED"
    UNRECOGNIZED = "UNRECOGNIZED"
    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"
    YEAR = "YEAR"


class EventType(StrEnum):
    """What happened to an order."""

    UNSPECIFIED = "UNSPECIFIED"
    UNRECOGNIZED = "UNRECOGNIZED"
    CHECKOUT_COMPLETED = "CHECKOUT_COMPLETED"
    """The buyer is done; funds may still be awaited."""
    PAYMENT_SUCCEEDED = "PAYMENT_SUCCEEDED"
    PAYMENT_FAILED = "PAYMENT_FAILED"
    CHECKOUT_EXPIRED = "CHECKOUT_EXPIRED"
    FULFILLMENT_REQUESTED = "FULFILLMENT_REQUESTED"
    """The owning service must act, then complete or fail the fulfillment."""
    FULFILLED = "FULFILLED"
    FULFILLMENT_FAILED = "FULFILLMENT_FAILED"
    REVOKED = "REVOKED"
    RESTORED = "RESTORED"
    """Granted again after a revocation."""
    REFUNDED = "REFUNDED"
    """In part or in full."""
    REFUND_FAILED = "REFUND_FAILED"
    DISPUTE_OPENED = "DISPUTE_OPENED"
    DISPUTE_WON = "DISPUTE_WON"
    DISPUTE_LOST = "DISPUTE_LOST"
    RENEWED = "RENEWED"
    RENEWAL_FAILED = "RENEWAL_FAILED"
    SUBSCRIPTION_CANCELED = "SUBSCRIPTION_CANCELED"
    SUBSCRIPTION_CANCEL_SCHEDULED = "SUBSCRIPTION_CANCEL_SCHEDULED"
    SUBSCRIPTION_PAUSED = "SUBSCRIPTION_PAUSED"
    SUBSCRIPTION_RESUMED = "SUBSCRIPTION_RESUMED"
    UNCLAIMED = "UNCLAIMED"
    """An event of Stripe's that is not the service's; comes only where a filter names it."""


class WaitUntil(StrEnum):
    """What to wait for."""

    UNSPECIFIED = "UNSPECIFIED"
    UNRECOGNIZED = "UNRECOGNIZED"
    PAID = "PAID"
    FULFILLED = "FULFILLED"


class SubscriberState(StrEnum):
    """Whether a durable subscriber can go on."""

    UNSPECIFIED = "UNSPECIFIED"
    UNRECOGNIZED = "UNRECOGNIZED"
    ACTIVE = "ACTIVE"
    LOST_DATA = "LOST_DATA"
    """It stood still until events that it had not acknowledged were trimmed: it needs an explicit seek."""
