"""Errors in Stripe's envelope; each says which parameter is wrong, with Stripe's own type, code and words."""

from collections.abc import Sequence

from stripe_sandbox.json_types import JsonObject


class StripeApiError(Exception):
    """An answer other than 200, in the form that Stripe's clients understand."""

    def __init__(  # noqa: PLR0913 - the fields of Stripe's envelope
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        executed: bool = False,
        keeps_work: bool = False,
        details: JsonObject | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.executed = executed  # then an idempotency key remembers the answer
        self.keeps_work = keeps_work  # then what was done before it is committed
        self.details = details or {}
        self.headers = headers or {}

    def body(self, request_id: str) -> JsonObject:
        """Write the envelope, without the fields that do not apply."""
        error: JsonObject = {"message": self.message, "type": self.kind, **self.details}
        if self.code:
            error |= {
                "code": self.code,
                "doc_url": f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}",
            }
        if self.param:
            error["param"] = self.param
        error["request_log_url"] = f"https://dashboard.stripe.com/test/logs/{request_id}"
        return {"error": error}


def missing_parameter(param: str) -> StripeApiError:
    """Say that a parameter is required."""
    return StripeApiError(f"Missing required param: {param}.", code="parameter_missing", param=param)


def invalid_parameter(param: str, message: str, code: str | None = None) -> StripeApiError:
    """Say that a parameter has a value that Stripe would not take."""
    return StripeApiError(message, code=code, param=param)


def exclusive_parameters(param: str, names: Sequence[str]) -> StripeApiError:
    """Say that at most one of these may be given."""
    message = f"You may only specify one of these parameters: {', '.join(names)}."
    return StripeApiError(message, code="parameters_exclusive", param=param)


def no_such(kind: str, object_id: str, param: str = "id", status: int = 404) -> StripeApiError:
    """Say that an object is not there; a path's id answers 404, a parameter's 400, as Stripe does."""
    return StripeApiError(f"No such {kind}: '{object_id}'", status=status, code="resource_missing", param=param)


def not_played(param: str) -> StripeApiError:
    """Say that Stripe knows a parameter which the sandbox does not: leaving it out silently would be a lie."""
    return StripeApiError(f"The sandbox does not play `{param}` yet, though Stripe may take it.", param=param)


def rate_limited() -> StripeApiError:
    """Say that there were too many calls."""
    return StripeApiError(
        "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
        status=429,
        code="rate_limit",
        headers={"Stripe-Rate-Limited-Reason": "endpoint-rate"},
    )


def internal_error(why: str = "It was asked for by the sandbox's faults.") -> StripeApiError:
    """Say that the server failed."""
    return StripeApiError(f"An unknown error occurred. {why}", status=500, kind="api_error")
