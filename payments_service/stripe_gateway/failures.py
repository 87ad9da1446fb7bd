"""Decides what a failed call to Stripe means: refused, not done, perhaps done, or not to be done with this key.

"Nothing happened" is said only where it is proved: of what may have reached Stripe unanswered, it is never said.
"""

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

CONFLICT = 409
"""The same idempotency key is at work in another call, which may yet succeed."""
WITHOUT_EFFECT = frozenset({408, 425, 429})
"""Statuses by which a server says: not now, and nothing was done."""


@dataclass(slots=True)
class Attempts:
    """What is known of the tries of one call."""

    writes: bool
    in_doubt: int = 0
    """Tries that may have reached Stripe and have no answer that proves what came of them."""

    def sent(self) -> None:
        """Note that a request is on its way."""
        self.in_doubt += 1

    def answered(self, status: int) -> None:
        """Note an answer; only a refusal proves that nothing happened, and a success must yet be read."""
        if is_refusal(status):
            self.in_doubt -= 1


@dataclass(frozen=True, slots=True)
class Refusal:
    """What Stripe itself said of a call that failed; 0 and empty where it said nothing."""

    status: int = 0
    code: str = ""
    message: str = ""


def refusal_of(error: StripeError) -> Refusal:
    """Give Stripe's own words, for an operator; they may name a part of the key."""
    said = error.__cause__
    if not isinstance(said, stripe.StripeError):
        return Refusal(message=type(said).__name__ if said else "")
    return Refusal(said.http_status or 0, said.code or "", said.user_message or str(said))


def is_refusal(status: int) -> bool:
    """Say whether a status proves that nothing was done."""
    return 300 <= status < 500 and status != CONFLICT


def explain_failure(error: stripe.StripeError | TimeoutError, attempts: Attempts) -> StripeError:
    """Give our error for the SDK's; Stripe's word on the request itself outweighs earlier doubts."""
    match error:
        case stripe.StripeError() if _refuses_the_request(error, attempts):
            return _rejected(error)
        case _ if attempts.writes and (attempts.in_doubt or isinstance(error, stripe.IdempotencyError)):
            return StripeOutcomeUnknownError("Stripe's answer was lost: it may have done what was asked.")
        case stripe.AuthenticationError() | stripe.PermissionError():
            return StripeMisconfiguredError(
                "Stripe does not accept this service's key or account; an operator must check PAYMENTS_STRIPE_API_KEY."
            )
        case stripe.RateLimitError():
            return StripeRateLimitedError("Stripe's rate limit was met; try again later.")
        case _:
            return StripeUnavailableError("Stripe cannot be reached or does not answer in time; try again later.")


def _refuses_the_request(error: stripe.StripeError, attempts: Attempts) -> bool:
    """Say whether Stripe, and not something on the way to it, will refuse the same request again."""
    match error:
        case stripe.IdempotencyError():
            # The key was used with other parameters, so that something did happen under it.
            return not attempts.writes
        case stripe.InvalidRequestError() | stripe.CardError():
            return True
        case stripe.APIError(http_status=int(status), json_body={"error": {}}):
            return is_refusal(status) and status not in WITHOUT_EFFECT
        case _:
            return False


def _rejected(error: stripe.StripeError) -> StripeRejectedError:
    message = (error.user_message or "no reason given").rstrip(".")
    return StripeRejectedError(
        f"Stripe refused the request: {message}.",
        stripe_code=error.code or "",
        stripe_param=str(getattr(error, "param", "") or ""),
        stripe_request_id=error.request_id or "",
    )
