"""Stripe's API of events: list with filters, retrieve; a reconciler reads here what no webhook brought."""

from starlette.routing import Route

from stripe_sandbox.account import SandboxAccount
from stripe_sandbox.api_error import exclusive_parameters, invalid_parameter
from stripe_sandbox.api_gate import ApiGate, Call
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.ledger import Condition
from stripe_sandbox.object_pages import list_page

LISTED_SECONDS = 30 * 24 * 3600
_MOST_TYPES = 20
# An endpoint has taken an event when one of its deliveries succeeded, whatever became of the others.
_UNDELIVERED = (
    "id IN (SELECT d.event FROM deliveries AS d WHERE d.status != 'succeeded' AND NOT EXISTS (SELECT 1 FROM deliveries "
    "AS s WHERE s.event = d.event AND s.endpoint = d.endpoint AND s.status = 'succeeded'))"
)


def event_routes(gate: ApiGate) -> list[Route]:
    """Serve them."""
    return [
        gate.route("GET", "/v1/events", "event_list", list_events),
        gate.route("GET", "/v1/events/{id}", "event_retrieve", retrieve_event),
    ]


def list_events(call: Call) -> JsonObject:
    """List the events of the last 30 days, newest first."""
    page = list_page(call, "event", "/v1/events", [_recent(call), *_of_type(call), *_delivered(call)])
    return {**page, "data": [call.account.with_pending(event) for event in page["data"]]}


def retrieve_event(call: Call) -> JsonObject:
    """Read one."""
    return call.account.with_pending(call.account.ledger.get("event", call.object_id))


def resend_event(account: SandboxAccount, event_id: str) -> JsonObject:
    """Send an event once more to every endpoint that listens to it, as the dashboard does."""
    owner = account.holding("event", event_id)
    with owner.ledger.transaction():
        event = owner.ledger.get("event", event_id)
        for endpoint in owner.targets.listening(event):
            owner.queue.plan(event_id, endpoint, owner.clock.now())
    owner.deliveries_due.set()
    return owner.with_pending(event)


def _recent(call: Call) -> Condition:
    return "created >= ?", call.account.clock.seconds() - LISTED_SECONDS


def _of_type(call: Call) -> list[Condition]:
    single, several = call.parameters.get("type"), call.parameters.get("types")
    if single is not None and several is not None:
        raise exclusive_parameters("type", ["type", "types"])
    if single is not None:
        return [("type GLOB ?", single.replace("[", "[[]").replace("?", "[?]"))]
    if several is None:
        return []
    if len(several) > _MOST_TYPES:
        raise invalid_parameter("types", f"You may pass at most {_MOST_TYPES} types.")
    return [(f"type IN ({', '.join('?' * len(several))})", tuple(several))]


def _delivered(call: Call) -> list[Condition]:
    wanted = call.parameters.get("delivery_success")
    if wanted is None:
        return []
    return [(f"NOT ({_UNDELIVERED})" if wanted else _UNDELIVERED, ())]
