"""The controls under `/_sandbox`: what a buyer, a bank, the dashboard, time and bad luck do to the account."""

import json
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stripe_sandbox import payment_flow
from stripe_sandbox.account import SandboxAccount
from stripe_sandbox.api_error import StripeApiError
from stripe_sandbox.event_operations import resend_event
from stripe_sandbox.fault_plan import FaultError, FaultPlan
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.object_ids import new_object_id
from stripe_sandbox.session_object import KIND, shown_session

MOVES = {
    "pay": payment_flow.pay,
    "pay_later": payment_flow.pay_later,
    "settle": payment_flow.settle,
    "fail": payment_flow.fail,
    "decline": payment_flow.decline,
    "expire": payment_flow.expire,
}
_LATER = (
    "/_sandbox/payment_intents/{id}/refund",
    "/_sandbox/payment_intents/{id}/dispute",
    "/_sandbox/disputes/{id}/close",
    "/_sandbox/subscriptions/{id}/renew",
)
Control = Callable[[Request, JsonObject], JsonObject]


class BadControlError(Exception):
    """Raised when a control's body is not what it takes; the message says what it takes."""


class Controls:
    """The controls of one account."""

    def __init__(self, account: SandboxAccount) -> None:
        self._account = account

    def routes(self) -> list[Route]:
        """Serve them."""
        return [
            _route("POST", "/_sandbox/sessions/{id}/{move}", self._move),
            _route("POST", "/_sandbox/clock", self._advance),
            _route("GET", "/_sandbox/clock", self._clock),
            _route("POST", "/_sandbox/events", self._foreign_event),
            _route("POST", "/_sandbox/events/{id}/resend", self._resend),
            _route("PUT", "/_sandbox/faults", self._put_faults),
            _route("GET", "/_sandbox/faults", lambda request, body: self._account.faults.to_json()),
            _route("DELETE", "/_sandbox/faults", lambda request, body: self._put_faults(request, {})),
            _route("GET", "/_sandbox/deliveries", self._deliveries),
            *[_route("POST", path, _not_played) for path in _LATER],
        ]

    def _move(self, request: Request, body: JsonObject) -> JsonObject:
        name, session_id = request.path_params["move"], request.path_params["id"]
        if name not in MOVES:
            raise StripeApiError(f"There is no control {name!r}; there are {', '.join(MOVES)}.", status=404)
        account = self._account.holding(KIND, session_id)
        with account.ledger.transaction():
            MOVES[name](account, session_id)
            session = account.ledger.get(KIND, session_id)
        return shown_session(session, self._account.base_url)

    def _advance(self, request: Request, body: JsonObject) -> JsonObject:
        seconds = body.get("advance_seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
            raise BadControlError('The clock takes {"advance_seconds": n}, with n no less than zero.')
        with self._account.ledger.transaction():
            self._account.clock.advance(seconds)
            while payment_flow.expire_due(self._account):
                pass
        self._account.expiries_due.set()
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


def _not_played(request: Request, body: JsonObject) -> JsonObject:
    raise payment_flow.NotPlayedError(
        f"{request.url.path} is not built yet: the sandbox plays no refunds, disputes and renewals so far."
    )


def _route(method: str, path: str, control: Control) -> Route:
    async def answer(request: Request) -> Response:
        try:
            return JSONResponse(control(request, await _body(request)))
        except (BadControlError, FaultError) as error:
            return _refused(400, str(error))
        except payment_flow.WrongStateError as error:
            return _refused(409, str(error))
        except payment_flow.NotPlayedError as error:
            return _refused(501, str(error))
        except StripeApiError as error:
            return _refused(error.status, error.message)

    endpoint: Callable[[Request], Awaitable[Response]] = answer
    return Route(path, endpoint, methods=[method])


async def _body(request: Request) -> JsonObject:
    raw = await request.body()
    try:
        body = json.loads(raw) if raw.strip() else {}
    except ValueError as error:
        raise BadControlError(f"The body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadControlError("The body is not a JSON object.")
    return body


def _refused(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message}}, status)
