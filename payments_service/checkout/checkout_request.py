"""Checks a CreateCheckoutRequest: everything that is wrong is named at once, by the path of the field.

It calls nobody; what holds for any request was checked where it was read, and what only Stripe can know is left to it.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from payments_service.checkout.line_item_rules import line_item_violations
from payments_service.checkout.redirect_urls import url_problem
from payments_service.contract.pb.payments.v1.payments_pb2 import CreateCheckoutRequest
from payments_service.errors import FieldViolation, InvalidRequestError
from payments_service.orders.purchase_rules import purchase_violations
from payments_service.stripe_gateway.metadata import encode_purchase

MAX_EMAIL = 512
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
SHORTEST, LONGEST = timedelta(minutes=30), timedelta(hours=24)
SLACK = timedelta(seconds=30)
"""Between our clock, the caller's and Stripe's."""
Violations = Iterator[FieldViolation]


@dataclass(frozen=True, slots=True)
class ReturnPages:
    """Where the bridge's own pages are, for callers who name none."""

    success_url: str
    cancel_url: str


def request_digest(request: CreateCheckoutRequest) -> bytes:
    """Digest the body, so that the same request id with another body is noticed."""
    body = CreateCheckoutRequest()
    body.CopyFrom(request)
    body.ClearField("request_id")
    return hashlib.sha256(body.SerializeToString(deterministic=True)).digest()


def check_request(request: CreateCheckoutRequest, now: datetime) -> None:
    """Raise InvalidRequestError with every violation."""
    violations = [
        *_identity(request),
        *purchase_violations(request.purchase),
        *line_item_violations(request),
        *_urls(request),
        *_expiry(request, now),
        *_customer(request),
    ]
    named = {violation.field for violation in violations}
    if not any(field.startswith("purchase") for field in named):
        violations += [violation for violation in _metadata(request) if violation.field not in named]
    if violations:
        raise InvalidRequestError(violations)


def _identity(request: CreateCheckoutRequest) -> Violations:
    if not is_uuid(request.request_id):
        yield FieldViolation("request_id", "must be a UUID that you make once for this checkout and repeat on retries")
    for name in ("organization_id", "user_id"):
        value = getattr(request, name)
        if not value.strip():
            yield FieldViolation(name, "is required")
        elif not value.isprintable():
            yield FieldViolation(name, "holds a character that cannot be printed")


def is_uuid(text: str) -> bool:
    """Take the usual way of writing one: Python's own reader takes braces and hyphens anywhere."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _metadata(request: CreateCheckoutRequest) -> Violations:
    """Name what Stripe's metadata could not hold; the order's id, which comes later, always fits."""
    if "" in request.purchase.custom.attributes:
        yield FieldViolation("purchase.custom.attributes[]", "has no name")
    try:
        encode_purchase(
            request.purchase, organization_id=request.organization_id, user_id=request.user_id, order_id="ord"
        )
    except InvalidRequestError as error:
        yield from error.violations


def _urls(request: CreateCheckoutRequest) -> Violations:
    for name in ("success_url", "cancel_url"):
        value = getattr(request, name)
        problem = url_problem(value) if value else None
        if problem:
            yield FieldViolation(name, problem)


def _expiry(request: CreateCheckoutRequest, now: datetime) -> Violations:
    if not request.HasField("expire_time"):
        return
    ahead = request.expire_time.seconds - now.timestamp()
    if not (SHORTEST - SLACK).total_seconds() <= ahead <= (LONGEST + SLACK).total_seconds():
        yield FieldViolation("expire_time", "must be between 30 minutes and 24 hours ahead; leave it out for 24 hours")


def _customer(request: CreateCheckoutRequest) -> Violations:
    if request.customer_id and request.customer_email:
        yield FieldViolation("customer_email", "cannot be given beside customer_id: Stripe takes one of the two")
    if request.customer_id and not request.customer_id.startswith("cus_"):
        yield FieldViolation("customer_id", "must be a Stripe customer's id (cus_...)")
    email = request.customer_email
    if email and (len(email) > MAX_EMAIL or not _EMAIL.fullmatch(email)):
        yield FieldViolation("customer_email", "is not an e-mail address")
