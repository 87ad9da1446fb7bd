"""Stripe's API of webhook endpoints; the one of the settings is no part of it. The secret is told at creation only."""

from starlette.routing import Route
from yarl import URL

from stripe_sandbox.api_error import StripeApiError, invalid_parameter
from stripe_sandbox.api_gate import ApiGate, Call
from stripe_sandbox.configuration import API_VERSION, is_loopback
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.object_ids import new_object_id, new_signing_secret
from stripe_sandbox.object_pages import list_page
from stripe_sandbox.webhook_targets import KIND


def endpoint_routes(gate: ApiGate) -> list[Route]:
    """Serve them."""
    path = "/v1/webhook_endpoints"
    return [
        gate.route("POST", path, "webhook_endpoint_create", _create),
        gate.route("GET", path, "webhook_endpoint_list", _list),
        gate.route("GET", path + "/{id}", "webhook_endpoint_retrieve", _retrieve),
        gate.route("DELETE", path + "/{id}", "webhook_endpoint_delete", _delete),
    ]


def _create(call: Call) -> JsonObject:
    url = call.parameters["url"]
    if call.parameters.get("api_version", API_VERSION) != API_VERSION:
        raise invalid_parameter("api_version", f"The sandbox renders events in version {API_VERSION} only.")
    if call.account.ledger.owner:
        raise StripeApiError("The sandbox's endpoints belong to the platform: make one with connect=true instead.")
    if not _is_local(url):
        raise StripeApiError(
            "Invalid URL: the sandbox delivers to this machine only (http://127.0.0.1:... or http://localhost:...).",
            code="url_invalid",
            param="url",
        )
    endpoint = {
        "id": new_object_id("we"),
        "object": KIND,
        "api_version": API_VERSION,
        "application": None,
        "connect": call.parameters.get("connect", False),
        "created": call.account.clock.seconds(),
        "description": call.parameters.get("description") or None,
        "enabled_events": call.parameters["enabled_events"],
        "livemode": False,
        "metadata": call.parameters.get("metadata") or {},
        "secret": new_signing_secret(),
        "status": "enabled",
        "url": url,
    }
    call.account.ledger.put(endpoint)
    return _without(endpoint, "connect")


def _retrieve(call: Call) -> JsonObject:
    return _without(call.account.ledger.get(KIND, call.object_id), "connect", "secret")


def _list(call: Call) -> JsonObject:
    page = list_page(call, KIND, "/v1/webhook_endpoints")
    return {**page, "data": [_without(endpoint, "connect", "secret") for endpoint in page["data"]]}


def _delete(call: Call) -> JsonObject:
    call.account.ledger.get(KIND, call.object_id)
    call.account.ledger.delete(KIND, call.object_id)
    call.account.queue.abandon(call.object_id)
    return {"id": call.object_id, "object": KIND, "deleted": True}


def _without(endpoint: JsonObject, *hidden: str) -> JsonObject:
    return {name: value for name, value in endpoint.items() if name not in hidden}


def _is_local(url: str) -> bool:
    try:
        parsed = URL(url)
    except ValueError:
        return False
    return parsed.scheme in ("http", "https") and is_loopback(parsed.host or "")
