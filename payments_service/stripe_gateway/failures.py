"""Decides what a failed call to Stripe means: refused, not done, perhaps done, or never to be done with this key."""

from dataclasses import dataclass

import stripe

from payments_service.errors import (
    StripeError,
    StripeMisconfiguredError,
    StripeOutcomeUnknownError,
    StripeRateLimitedError,
    StripeRejectedError,
    StripeUnavailableError,
)


@dataclass(slots=True)
class Attempts:
    """What is known of the tries of one call."""

    writes: bool
    in_doubt: int = 0
    """Tries that may have reached Stripe and have no definite answer."""


def explain_failure(error: stripe.StripeError | TimeoutError, attempts: Attempts) -> StripeError:
    """Give our error for the SDK's; a definite refusal stays one whatever came before it."""
    match error:
        case stripe.AuthenticationError() | stripe.PermissionError():
            return StripeMisconfiguredError(
                "Stripe does not accept this service's key or account; an operator must check PAYMENTS_STRIPE_API_KEY."
            )
        case stripe.RateLimitError() if not attempts.in_doubt:
            return StripeRateLimitedError("Stripe's rate limit was met; try again later.")
        case stripe.InvalidRequestError() | stripe.CardError() | stripe.IdempotencyError():
            return _rejected(error)
        case _:
            return _undecided(error, attempts)


def _undecided(error: stripe.StripeError | TimeoutError, attempts: Attempts) -> StripeError:
    """Tell what certainly did not happen from what may have."""
    if attempts.writes and attempts.in_doubt:
        answered = "true" if isinstance(error, stripe.APIError) and (error.http_status or 0) >= 500 else "false"
        return StripeOutcomeUnknownError(
            "Stripe's answer was lost, it may have done what was asked; repeat with the same request_id only.",
            answered=answered,
        )
    return StripeUnavailableError("Stripe cannot be reached or does not answer in time; try again later.")


def _rejected(error: stripe.StripeError) -> StripeRejectedError:
    message = (error.user_message or "no reason given").rstrip(".")
    return StripeRejectedError(
        f"Stripe refused the request: {message}.",
        stripe_code=error.code or "",
        stripe_param=str(getattr(error, "param", "") or ""),
        stripe_request_id=error.request_id or "",
    )
