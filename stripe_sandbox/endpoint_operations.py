"""Stripe's API of webhook endpoints; the one of the settings is no part of it. The secret is told at creation only."""

from starlette.routing import Route
from yarl import URL

from stripe_sandbox.api_error import StripeApiError
from stripe_sandbox.api_gate import ApiGate, Call
from stripe_sandbox.configuration import API_VERSION, is_loopback
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.object_ids import new_object_id, new_signing_secret
from stripe_sandbox.object_pages import list_page

KIND = "webhook_endpoint"


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
    if not _is_local(url):
        raise StripeApiError(
            "Invalid URL: the sandbox delivers to this machine only (http://127.0.0.1:... or http://localhost:...).",
            code="url_invalid",
            param="url",
        )
    endpoint = {
        "id": new_object_id("we"),
        "object": KIND,
        "api_version": call.parameters.get("api_version", API_VERSION),
        "application": None,
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
    return endpoint


def _retrieve(call: Call) -> JsonObject:
    return _without_secret(call.account.ledger.get(KIND, call.object_id))


def _list(call: Call) -> JsonObject:
    page = list_page(call, KIND, "/v1/webhook_endpoints")
    return {**page, "data": [_without_secret(endpoint) for endpoint in page["data"]]}


def _delete(call: Call) -> JsonObject:
    call.account.ledger.get(KIND, call.object_id)
    call.account.ledger.delete(KIND, call.object_id)
    call.account.queue.abandon(call.object_id)
    return {"id": call.object_id, "object": KIND, "deleted": True}


def _without_secret(endpoint: JsonObject) -> JsonObject:
    return {name: value for name, value in endpoint.items() if name != "secret"}


def _is_local(url: str) -> bool:
    try:
        parsed = URL(url)
    except ValueError:
        return False
    return parsed.scheme in ("http", "https") and is_loopback(parsed.host or "")
