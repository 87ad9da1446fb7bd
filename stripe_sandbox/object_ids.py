"""Ids that look like Stripe's: a prefix that says of what, `test` where Stripe says so, and chance."""

import base64
import secrets

_LENGTHS = {"cs_test_a1": 58, "req": 14, "we": 24, "cus": 14, "prod": 14}


def new_object_id(prefix: str) -> str:
    """Make an id such as `pi_3kQ...`; sessions get Stripe's long form `cs_test_a1...`."""
    if prefix == "cs":
        return "cs_test_a1" + _chance(58)
    return f"{prefix}_{_chance(_LENGTHS.get(prefix, 24))}"


def new_signing_secret() -> str:
    """Make the secret of a webhook endpoint."""
    return f"whsec_{_chance(32)}"


def _chance(length: int) -> str:
    # One draw: 58 calls of secrets.choice would cost more than the rest of the request.
    drawn = base64.b64encode(secrets.token_bytes(length), altchars=b"Sx")
    return drawn[:length].decode()
