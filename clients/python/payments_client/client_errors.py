"""The errors of the client, all drawn here, with the reason and what to do; many are in refusal_errors.

PaymentsError
├── InvalidRequestError             the call must change; `violations` names each field
│   ├── CursorInvalidError
│   └── StartRequiredError
├── UnauthenticatedError / CallerNotAllowedError
├── NotFoundError                   Order-, Fulfillment-, StripeEvent-, SubscriberNotFoundError
├── AlreadyExistsError              RequestIdReusedError, SubscriberExistsError
├── FailedPreconditionError         the state stands in the way: CheckoutNotOpen-, NothingToRefund-, ...Error
├── StripeError
│   ├── StripeRejectedError         Stripe refused; the same call fails again
│   ├── StripeRateLimitedError      nothing happened; later
│   ├── StripeUnavailableError      nothing happened; later
│   ├── StripeOutcomeUnknownError   something may have happened; again with the same request_id only
│   └── StripeMisconfiguredError    an operator of the service must act
├── UnavailableError                StorageUnavailableError, DrainingError, or the service cannot be reached
├── CursorExpiredError / CursorDivergedError / CursorAheadError
├── SlowConsumerError
├── DeadlineExceededError           no answer in time; something may have happened
├── NotBuiltYetError
└── InternalError
"""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One wrong field of a request: its path as in the proto, and what to do about it."""

    field: str
    description: str


class PaymentsError(Exception):
    """Anything that a call can fail with."""

    reasons: ClassVar[tuple[str, ...]] = ()
    """The contract's reasons that this class stands for."""
    retryable: ClassVar[bool] = False
    """Whether the same call may succeed later."""
    advice: ClassVar[str] = "Ask whoever runs the payments service."
    """What to do, in one sentence."""

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        code: str = "",
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[FieldViolation] = (),
        retry_after: float | None = None,
        request_id: str = "",
    ) -> None:
        """Keep what the service said."""
        super().__init__(message)
        self.message = message
        self.reason = reason
        """The contract's, such as ORDER_NOT_FOUND; empty where not the service but the way to it failed."""
        self.code = code
        """The gRPC status, such as NOT_FOUND."""
        self.metadata: Mapping[str, str] = dict(metadata or {})
        self.violations = tuple(violations)
        self.retry_after = retry_after
        """Seconds to wait before a further try, where the service said so."""
        self.request_id = request_id
        """The idempotency key of the call that failed: pass it again to repeat that call and no other."""

    def __str__(self) -> str:
        return f"{self.reason or self.code}: {self.message} {self.advice}".removeprefix(": ")


class InvalidRequestError(PaymentsError):
    """Raised when the call itself is wrong."""

    reasons = ("INVALID_REQUEST",)
    advice = "Change the call: `violations` names each wrong field."


class CursorInvalidError(InvalidRequestError):
    """Raised when a cursor was not made by this service."""

    reasons = ("CURSOR_INVALID",)
    advice = "Pass the bytes of a cursor unchanged."


class StartRequiredError(InvalidRequestError):
    """Raised when a stream is opened without saying where to start."""

    reasons = ("START_REQUIRED",)
    advice = "Pass after=cursor, or start=Start.EARLIEST, Start.LATEST or a time."


class UnauthenticatedError(PaymentsError):
    """Raised when the service does not know the caller."""

    reasons = ("UNAUTHENTICATED",)
    advice = "Pass token=..., one whose SHA-256 stands in the service's callers file."


class CallerNotAllowedError(PaymentsError):
    """Raised when the caller may not do this; the metadata has what is missing."""

    reasons = ("CALLER_NOT_ALLOWED",)
    advice = "Have the service's callers file allow it, or call as somebody who may."


class UnavailableError(PaymentsError):
    """Raised when the service cannot be reached, or cannot work now."""

    retryable = True
    advice = "Check the address and that the service runs, and try again with the same request_id."


class StorageUnavailableError(UnavailableError):
    """Raised when the service's database does not answer."""

    reasons = ("STORAGE_UNAVAILABLE",)
    advice = "Try again after `retry_after` seconds, with the same request_id."


class DrainingError(UnavailableError):
    """Raised when the process that was called is about to stop."""

    reasons = ("DRAINING",)
    advice = "Try again: another process answers."


class CursorExpiredError(PaymentsError):
    """Raised when a cursor points before what is kept: events were missed, so nothing goes on silently."""

    reasons = ("CURSOR_EXPIRED",)
    advice = (
        "Read the state anew with list_orders, then stream after `earliest_cursor` or from Start.EARLIEST; "
        "a durable subscriber is moved by subscribers.seek."
    )

    @property
    def earliest_cursor(self) -> bytes:
        """Give where the log begins now; empty where the service did not say."""
        return cursor_in(self.metadata.get("earliest_cursor", ""))


class CursorDivergedError(PaymentsError):
    """Raised when the log no longer holds the event that a cursor was made from: it was restored from a backup."""

    reasons = ("CURSOR_DIVERGED",)
    advice = "Read the state anew with list_orders, then stream from Start.EARLIEST; events deduplicate by event_id."


class CursorAheadError(PaymentsError):
    """Raised when a cursor points past the end of the log: it is another service's, or the log was restored."""

    reasons = ("CURSOR_AHEAD",)
    advice = "Check that the cursor belongs to this service; if it does, stream from Start.EARLIEST."


class SlowConsumerError(PaymentsError):
    """Raised when a stream was not read for too long."""

    reasons = ("SLOW_CONSUMER",)
    retryable = True
    advice = "Open the stream again after the last cursor, and read faster."

    @property
    def cursor(self) -> bytes:
        """Give the last cursor that the service wrote; resume from one that was dealt with, though."""
        return cursor_in(self.metadata.get("cursor", ""))


class DeadlineExceededError(PaymentsError):
    """Raised when no answer came in time: the call may have been carried out."""

    retryable = True
    advice = "Try again with the same request_id, and with no other."


class NotBuiltYetError(PaymentsError):
    """Raised by what the contract names and the running version does not do."""

    reasons = ("NOT_BUILT_YET",)
    advice = "Update the payments service."


class InternalError(PaymentsError):
    """Raised when the service failed; the metadata's error_id finds it in its log."""

    reasons = ("INTERNAL",)
    advice = "Give the error_id to whoever runs the payments service; trying again may help."


def cursor_in(text: str) -> bytes:
    """Decode a cursor of an error's metadata; empty where there is none to be read."""
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return b""
