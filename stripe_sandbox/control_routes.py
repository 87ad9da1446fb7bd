"""The controls under `/_sandbox`: what a buyer, a bank, the dashboard, time and bad luck do to the account."""

from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.routing import Route

from stripe_sandbox import payment_flow
from stripe_sandbox.account import SandboxAccount
from stripe_sandbox.api_error import StripeApiError
from stripe_sandbox.change import Change
from stripe_sandbox.control_gate import BadControlError, checked_body, control_route
from stripe_sandbox.event_operations import resend_event
from stripe_sandbox.fault_plan import FaultPlan
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.object_ids import new_object_id
from stripe_sandbox.payment_method_flow import payment_method
from stripe_sandbox.session_object import KIND, shown_session
from stripe_sandbox.timetable import advance

MOVES: Mapping[str, Callable[[SandboxAccount, str], Change]] = {
    "pay": payment_flow.pay,
    "pay_later": payment_flow.pay_later,
    "settle": payment_flow.settle,
    "fail": payment_flow.fail,
    "decline": payment_flow.decline,
    "expire": payment_flow.expire,
}


class Controls:
    """The controls of one account."""

    def __init__(self, account: SandboxAccount) -> None:
        self._account = account

    def routes(self) -> list[Route]:
        """Serve them."""
        return [
            control_route("POST", "/_sandbox/sessions/{id}/{move}", self._move),
            control_route("POST", "/_sandbox/clock", self._advance),
            control_route("GET", "/_sandbox/clock", self._clock),
            control_route("POST", "/_sandbox/events", self._foreign_event),
            control_route("POST", "/_sandbox/events/{id}/resend", self._resend),
            control_route("PUT", "/_sandbox/faults", self._put_faults),
            control_route("GET", "/_sandbox/faults", lambda request, body: self._account.faults.to_json()),
            control_route("DELETE", "/_sandbox/faults", lambda request, body: self._put_faults(request, {})),
            control_route("GET", "/_sandbox/deliveries", self._deliveries),
        ]

    def _move(self, request: Request, body: JsonObject) -> JsonObject:
        name, session_id = request.path_params["move"], request.path_params["id"]
        if name not in MOVES:
            raise StripeApiError(f"There is no control {name!r}; there are {', '.join(MOVES)}.", status=404)
        account = self._account.holding(KIND, session_id)
        with account.ledger.transaction():
            if name == "pay":
                checked_body(body, '{"payment_method": "pm_card_..."}, optional', payment_method=str)
                card = payment_method(account, body["payment_method"])["id"] if body else ""
                payment_flow.pay(account, session_id, card)
            else:
                MOVES[name](account, session_id)
            session = account.ledger.get(KIND, session_id)
        return shown_session(session, self._account.base_url)

    def _advance(self, request: Request, body: JsonObject) -> JsonObject:
        seconds = body.get("advance_seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
            raise BadControlError('The clock takes {"advance_seconds": n}, with n no less than zero.')
        with self._account.ledger.transaction():
            advance(self._account, seconds)
        self._account.work_due.set()
        self._account.deliveries_due.set()
        return self._clock(request, body)

    def _clock(self, request: Request, body: JsonObject) -> JsonObject:
        return {"now": self._account.clock.seconds(), "offset_seconds": self._account.clock.offset}

    def _foreign_event(self, request: Request, body: JsonObject) -> JsonObject:
        kind, subject = body.get("type"), body.get("object")
        if not isinstance(kind, str) or not kind or not isinstance(subject, dict) or set(body) - {"type", "object"}:
            raise BadControlError('An event takes {"type": "...", "object": {...}} and nothing else.')
        defaults = {"id": new_object_id("obj"), "object": kind.rpartition(".")[0]}
        with self._account.ledger.transaction():
            return self._account.emit(kind, {**defaults, **subject})

    def _resend(self, request: Request, body: JsonObject) -> JsonObject:
        return resend_event(self._account, request.path_params["id"])

    def _put_faults(self, request: Request, body: JsonObject) -> JsonObject:
        plan = FaultPlan.from_json(body)
        with self._account.ledger.transaction():
            self._account.keep_faults(plan)
        return plan.to_json()

    def _deliveries(self, request: Request, body: JsonObject) -> JsonObject:
        return {"object": "list", "data": self._account.queue.history(request.query_params.get("event"))}
