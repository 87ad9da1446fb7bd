"""The one error tree of the service, drawn here; it knows no gRPC and no HTTP.

PaymentsError
├── InvalidRequestError            the caller must change the request
│   ├── CursorInvalidError
│   └── StartRequiredError
├── UnauthenticatedError / CallerNotAllowedError
├── NotFoundError                  ORDER_, FULFILLMENT_, STRIPE_EVENT_, SUBSCRIBER_NOT_FOUND
├── AlreadyExistsError             REQUEST_ID_REUSED, SUBSCRIBER_EXISTS
├── FailedPreconditionError        the state stands in the way
├── StripeError
│   ├── StripeRejectedError        Stripe refused: nothing happened, the same call fails again
│   ├── StripeRateLimitedError     nothing happened, try later
│   ├── StripeUnavailableError     nothing happened, try later
│   ├── StripeOutcomeUnknownError  something may have happened, only the same request_id is safe
│   └── StripeMisconfiguredError   our key or account is wrong: an operator must act
├── StorageUnavailableError
├── CursorExpiredError / CursorDivergedError / CursorAheadError
├── HoleError                      the log broke its own promise: an operator must act
├── SlowConsumerError / DrainingError
├── CallFailedError                the command line's call to a running service failed
└── ConfigurationError             a process refuses to start
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar


class PaymentsError(Exception):
    """Anything that the service says no with; `reason` is stable, the message is for a person."""

    reason: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, **metadata: str) -> None:
        """Keep the metadata: whatever is dynamic in the message, for machines."""
        super().__init__(message)
        self.message = message
        self.metadata: Mapping[str, str] = metadata


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One wrong field: its path as in the proto, and what to do about it."""

    field: str
    description: str


class InvalidRequestError(PaymentsError):
    """Raised when the request itself is wrong; every wrong field is named at once."""

    reason = "INVALID_REQUEST"

    def __init__(self, violations: Sequence[FieldViolation]) -> None:
        """Name every violation in the message too, for clients that do not decode details."""
        self.violations = tuple(violations)
        super().__init__("; ".join(f"{v.field}: {v.description}" for v in self.violations))


class CursorInvalidError(PaymentsError):
    """Raised when a cursor was not made by this service."""

    reason = "CURSOR_INVALID"


class StartRequiredError(PaymentsError):
    """Raised when a stream is opened without saying where to start."""

    reason = "START_REQUIRED"


class UnauthenticatedError(PaymentsError):
    """Raised when no known caller stands behind a call."""

    reason = "UNAUTHENTICATED"


class CallerNotAllowedError(PaymentsError):
    """Raised when a known caller may not do this."""

    reason = "CALLER_NOT_ALLOWED"


class NotFoundError(PaymentsError):
    """Raised when a row does not exist for this caller; another organization's row does not exist."""


class OrderNotFoundError(NotFoundError):
    """Raised when the caller has no such order."""

    reason = "ORDER_NOT_FOUND"


class FulfillmentNotFoundError(NotFoundError):
    """Raised when the caller has no such fulfillment."""

    reason = "FULFILLMENT_NOT_FOUND"


class StripeEventNotFoundError(NotFoundError):
    """Raised when the inbox holds no such event."""

    reason = "STRIPE_EVENT_NOT_FOUND"


class SubscriberNotFoundError(NotFoundError):
    """Raised when there is no such subscriber."""

    reason = "SUBSCRIBER_NOT_FOUND"


class AlreadyExistsError(PaymentsError):
    """Raised when the name or id is taken by something else."""


class RequestIdReusedError(AlreadyExistsError):
    """Raised when a request id comes again with another body."""

    reason = "REQUEST_ID_REUSED"


class FailedPreconditionError(PaymentsError):
    """Raised when the state of a row stands in the way."""


class CheckoutNotOpenError(FailedPreconditionError):
    """Raised when a checkout that is not open is to be expired."""

    reason = "CHECKOUT_NOT_OPEN"


class NothingToRefundError(FailedPreconditionError):
    """Raised when no money of an order is left that could be given back."""

    reason = "NOTHING_TO_REFUND"


class RefundExceedsPaymentError(FailedPreconditionError):
    """Raised when more is to be given back than is left of a payment."""

    reason = "REFUND_EXCEEDS_PAYMENT"


class NotASubscriptionError(FailedPreconditionError):
    """Raised when an order without a subscription is to be cancelled."""

    reason = "NOT_A_SUBSCRIPTION"


class FulfillmentNotAwaitedError(FailedPreconditionError):
    """Raised when a report or a retry comes for a fulfillment that waits for none."""

    reason = "FULFILLMENT_NOT_AWAITED"


class GenerationMismatchError(FailedPreconditionError):
    """Raised when a report answers another generation than the present one."""

    reason = "GENERATION_MISMATCH"


class MemberReplacedError(FailedPreconditionError):
    """Raised when a later session of the same member of a subscriber was opened."""

    reason = "MEMBER_REPLACED"


class SubscriberExistsError(AlreadyExistsError):
    """Raised when the name of a new subscriber is taken."""

    reason = "SUBSCRIBER_EXISTS"


class StripeError(PaymentsError):
    """Raised when Stripe did not do what was asked."""


class StripeRejectedError(StripeError):
    """Raised when Stripe refused the request: nothing happened, and the same call fails again."""

    reason = "STRIPE_REJECTED"


class StripeRateLimitedError(StripeError):
    """Raised when Stripe's rate limit was met: nothing happened."""

    reason = "STRIPE_RATE_LIMITED"


class StripeUnavailableError(StripeError):
    """Raised when Stripe could not be reached: nothing happened."""

    reason = "STRIPE_UNAVAILABLE"


class StripeOutcomeUnknownError(StripeError):
    """Raised when Stripe's answer was lost: something may have happened."""

    reason = "STRIPE_OUTCOME_UNKNOWN"


class StripeMisconfiguredError(StripeError):
    """Raised when Stripe does not accept our key or account."""

    reason = "STRIPE_MISCONFIGURED"


class StorageUnavailableError(PaymentsError):
    """Raised when the database cannot be reached or does not answer in time."""

    reason = "STORAGE_UNAVAILABLE"


class CursorExpiredError(PaymentsError):
    """Raised when a cursor points before what is kept."""

    reason = "CURSOR_EXPIRED"


class CursorDivergedError(PaymentsError):
    """Raised when the log no longer holds the event that a cursor was made from."""

    reason = "CURSOR_DIVERGED"


class CursorAheadError(PaymentsError):
    """Raised when a cursor points past the head of the log."""

    reason = "CURSOR_AHEAD"


class HoleError(PaymentsError):
    """Raised when positions of the log are not contiguous: never the caller's fault, and never to be skipped."""


class SlowConsumerError(PaymentsError):
    """Raised when a stream's client does not read what it is sent."""

    reason = "SLOW_CONSUMER"


class DrainingError(PaymentsError):
    """Raised when this process is about to stop."""

    reason = "DRAINING"


class ConfigurationError(PaymentsError):
    """Raised when a setting makes a start impossible; the message names the variable."""


class CallFailedError(PaymentsError):
    """Raised by the command line where a running service refuses, fails or does not answer.

    `metadata` has the gRPC status and the service's own reason, empty where nothing of the service answered.
    """
