"""Decides whether a webhook's bytes come from Stripe; it never parses them.

One HMAC over the raw body (docs.stripe.com/webhooks): `construct_event` would cost 30 times as much.
"""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime

from payments_service.errors import PaymentsError

TOLERANCE_SECONDS = 300


class SignatureError(PaymentsError):
    """Raised when the body is not proved to come from Stripe; the message says which proof is missing."""


def verify_signature(payload: bytes, header: str, secrets: Sequence[str], now: datetime) -> None:
    """Accept any `v1` signature by any of our secrets, at most 300 s from our clock, before or after."""
    timestamp, signatures = _parse(header)
    _require_present(timestamp, now)
    signed = b"%d." % timestamp + payload
    if not any(_matches(signed, secret, signatures) for secret in secrets if secret):
        raise SignatureError("No signature matches a webhook secret; check PAYMENTS_STRIPE_WEBHOOK_SECRETS.")


def sign_payload(payload: bytes, secret: str, now: datetime) -> str:
    """Make the header that Stripe would send; for events that are passed on."""
    timestamp = int(now.timestamp())
    digest = hmac.new(secret.encode(), b"%d." % timestamp + payload, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


def _require_present(timestamp: int, now: datetime) -> None:
    age = now.timestamp() - timestamp
    if abs(age) <= TOLERANCE_SECONDS:
        return
    if age > 0:
        told = f"{age:.0f} s ago by this host's clock, which is ahead, or somebody repeats an old delivery"
    else:
        told = f"{-age:.0f} s from now by this host's clock, which is behind"
    raise SignatureError(
        f"The event was signed {told}; up to {TOLERANCE_SECONDS} s are allowed. Set the clock by NTP.",
        clock_skew_seconds=f"{age:.0f}",
    )


def _parse(header: str) -> tuple[int, list[bytes]]:
    if not header.isascii():
        raise SignatureError("The Stripe-Signature header is not ASCII.")
    pairs = [part.strip().partition("=") for part in header.split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    signatures = [value.encode() for name, _, value in pairs if name == "v1"]
    if len(times) != 1 or not times[0].isdigit() or len(times[0]) > 12 or not signatures:
        raise SignatureError("The Stripe-Signature header is missing or malformed: it needs one t and a v1.")
    return int(times[0]), signatures


def _matches(signed: bytes, secret: str, signatures: Sequence[bytes]) -> bool:
    expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode()
    return any(hmac.compare_digest(expected, signature) for signature in signatures)
