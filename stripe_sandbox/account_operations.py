"""Stripe's API of the account itself; reading only."""

from starlette.routing import Route

from stripe_sandbox.api_gate import ApiGate, Call
from stripe_sandbox.json_types import JsonObject

OWN_ACCOUNT = "acct_sandbox"


def account_routes(gate: ApiGate) -> list[Route]:
    """Serve it."""
    return [gate.route("GET", "/v1/account", "account_retrieve_current", _retrieve)]


def _retrieve(call: Call) -> JsonObject:
    return {
        "id": call.account.ledger.owner or OWN_ACCOUNT,
        "object": "account",
        "business_profile": None,
        "charges_enabled": True,
        "country": "US",
        "default_currency": "usd",
        "details_submitted": True,
        "email": "sandbox@example.com",
        "payouts_enabled": True,
        "settings": None,
        "type": "standard",
    }
