"""What the headers of a call to Stripe's API say: the key, the connected account, the version; or the refusal."""

import base64
import binascii
import re
from collections.abc import Mapping

from stripe_sandbox.api_error import StripeApiError
from stripe_sandbox.configuration import API_VERSION

_LIVE_KEY = (
    "This is the sandbox Stripe, and the key is a live one ({prefix}...): it was not used, and no request left this "
    "machine. Use a test key (sk_test_... or rk_test_...), or unset PAYMENTS_STRIPE_API_BASE to talk to Stripe."
)
_NO_KEY = (
    "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth "
    "(e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
)
_ACCOUNT = re.compile(r"acct_[A-Za-z0-9_]{1,100}")


def check_headers(headers: Mapping[str, str]) -> None:
    """Refuse calls without a test key, and for a version that the sandbox does not speak."""
    _check_key(headers.get("authorization", ""))
    version = headers.get("stripe-version", API_VERSION)
    if version != API_VERSION:
        raise StripeApiError(
            f"Invalid Stripe API version: {version[:60]}. The sandbox speaks {API_VERSION} only, the version of the "
            "stripe package that the service is built with."
        )


def connected_account(headers: Mapping[str, str]) -> str:
    """Name the connected account that a call is for; empty for the platform's own."""
    return account_named(headers.get("stripe-account", ""))


def account_named(account: str) -> str:
    """Give the id of a connected account, or refuse what cannot be one."""
    if account and not _ACCOUNT.fullmatch(account):
        raise StripeApiError(
            f"The provided key does not have access to account '{account[:60]}' (or that account does not exist). "
            "Application access may have been revoked.",
            status=403,
            code="account_invalid",
        )
    return account


def _check_key(header: str) -> None:
    scheme, _, credentials = header.partition(" ")
    key = credentials.strip()
    if scheme.lower() == "basic":
        key = _basic_user(key)
    if key.startswith(("sk_live_", "rk_live_")):
        raise StripeApiError(_LIVE_KEY.format(prefix=key[:8]), status=401)
    if not key:
        raise StripeApiError(_NO_KEY, status=401)
    if scheme.lower() not in ("bearer", "basic") or not key.startswith(("sk_test_", "rk_test_")):
        raise StripeApiError(f"Invalid API Key provided: {key[:8]}***", status=401)


def _basic_user(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""
