"""The errors of a call that the state of things stands in the way of: here, or at Stripe."""

from payments_client.client_errors import PaymentsError


class NotFoundError(PaymentsError):
    """Raised when there is no such thing for this caller; another organization's does not exist."""

    advice = "Check the id, and that it belongs to an organization of this caller."


class OrderNotFoundError(NotFoundError):
    """Raised when the caller has no such order."""

    reasons = ("ORDER_NOT_FOUND",)


class FulfillmentNotFoundError(NotFoundError):
    """Raised when the caller has no such fulfillment."""

    reasons = ("FULFILLMENT_NOT_FOUND",)


class StripeEventNotFoundError(NotFoundError):
    """Raised when the service has received no such event."""

    reasons = ("STRIPE_EVENT_NOT_FOUND",)


class SubscriberNotFoundError(NotFoundError):
    """Raised when there is no such subscriber."""

    reasons = ("SUBSCRIBER_NOT_FOUND",)
    advice = "Create it first: create_subscriber(name, start=...)."


class AlreadyExistsError(PaymentsError):
    """Raised when a name or id is taken by something else."""

    advice = "Choose another name or id."


class RequestIdReusedError(AlreadyExistsError):
    """Raised when a request_id comes again with other arguments; the metadata has the order_id that it made."""

    reasons = ("REQUEST_ID_REUSED",)
    advice = "Make a new request_id for a new purchase, and repeat an old one with the same arguments only."


class SubscriberExistsError(AlreadyExistsError):
    """Raised when a subscriber of that name exists."""

    reasons = ("SUBSCRIBER_EXISTS",)
    advice = "Use the one that is there, or choose another name."


class FailedPreconditionError(PaymentsError):
    """Raised when the state of things stands in the way; the metadata has it."""

    advice = "Read the order again and decide anew: the same call fails again."


class CheckoutNotOpenError(FailedPreconditionError):
    """Raised when a checkout that is not open is to be expired."""

    reasons = ("CHECKOUT_NOT_OPEN",)


class NothingToRefundError(FailedPreconditionError):
    """Raised when nothing is left to give back."""

    reasons = ("NOTHING_TO_REFUND",)


class RefundExceedsPaymentError(FailedPreconditionError):
    """Raised when more is to be given back than is left."""

    reasons = ("REFUND_EXCEEDS_PAYMENT",)
    advice = "Ask for less, or leave the amount out to refund what is left."


class NotASubscriptionError(FailedPreconditionError):
    """Raised when an order that is no subscription is to be cancelled."""

    reasons = ("NOT_A_SUBSCRIPTION",)


class FulfillmentNotAwaitedError(FailedPreconditionError):
    """Raised when a report comes for a fulfillment that waits for none."""

    reasons = ("FULFILLMENT_NOT_AWAITED",)
    advice = "Undo what was done for it, if it was revoked; else there is nothing to do."


class GenerationMismatchError(FailedPreconditionError):
    """Raised when a report answers another generation than the present one."""

    reasons = ("GENERATION_MISMATCH",)
    advice = "Report on the generation that the newest FULFILLMENT_REQUESTED names."


class MemberReplacedError(FailedPreconditionError):
    """Raised when another session of this member of a subscriber was opened: two replicas have one name."""

    reasons = ("MEMBER_REPLACED",)
    advice = "Give each replica a member_id of its own."


class StripeError(PaymentsError):
    """Raised when Stripe did not do what was asked."""


class StripeRejectedError(StripeError):
    """Raised when Stripe refused; the metadata has its code, parameter and request id."""

    reasons = ("STRIPE_REJECTED",)
    advice = "Change the call: Stripe refuses the same one again."


class StripeRateLimitedError(StripeError):
    """Raised when Stripe was asked too often: nothing happened."""

    reasons = ("STRIPE_RATE_LIMITED",)
    retryable = True
    advice = "Try again after `retry_after` seconds, with the same request_id."


class StripeUnavailableError(StripeError):
    """Raised when Stripe could not be reached: nothing happened."""

    reasons = ("STRIPE_UNAVAILABLE",)
    retryable = True
    advice = "Try again after `retry_after` seconds, with the same request_id."


class StripeOutcomeUnknownError(StripeError):
    """Raised when Stripe's answer was lost: something may have happened."""

    reasons = ("STRIPE_OUTCOME_UNKNOWN",)
    retryable = True
    advice = "Try again with the same request_id, and with no other: it finds what has happened."


class StripeMisconfiguredError(StripeError):
    """Raised when Stripe does not accept the service's key or account."""

    reasons = ("STRIPE_MISCONFIGURED",)
    advice = "An operator of the payments service must act."
