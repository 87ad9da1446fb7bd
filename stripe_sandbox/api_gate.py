"""What every call of Stripe's API passes: headers, form, faults, idempotency, one transaction, the envelope."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import formatdate

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from stripe_sandbox.account import SandboxAccount
from stripe_sandbox.api_error import StripeApiError, internal_error, rate_limited
from stripe_sandbox.bracket_form import FormValue, parse_form
from stripe_sandbox.configuration import API_VERSION
from stripe_sandbox.idempotency_keys import IdempotencyKeys, OwnedKey, SavedAnswer, fingerprint
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.object_ids import new_object_id
from stripe_sandbox.older_version import in_todays_words
from stripe_sandbox.parameter_check import check_parameters
from stripe_sandbox.request_headers import check_headers, connected_account

_LARGEST_BODY = 1 << 20
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Call:
    """One call: what it is about, what it asks for, by whose request, and for which account."""

    account: SandboxAccount
    parameters: JsonObject
    object_id: str
    request_id: str
    idempotency_key: str

    @property
    def cause(self) -> JsonObject:
        """What an event tells of the call that caused it."""
        return {"id": self.request_id, "idempotency_key": self.idempotency_key or None}


Operation = Callable[[Call], JsonObject]


@dataclass(frozen=True)
class Incoming:
    """A call on its way through the gate."""

    form: dict[str, FormValue]
    object_id: str
    request_id: str
    key: OwnedKey
    fingerprint: str


class ApiGate:
    """Makes routes of operations; holds the idempotency keys."""

    def __init__(self, account: SandboxAccount) -> None:
        self._account = account
        self._keys = IdempotencyKeys(account.ledger)

    def route(self, method: str, path: str, parameters: str, operation: Operation) -> Route:
        """Serve an operation, its parameters checked by the named type."""

        async def answer(request: Request) -> Response:
            return await self._enveloped(
                request, lambda request_id: self._call(request, request_id, parameters, operation)
            )

        return Route(path, answer, methods=[method])

    def unknown_route(self, path: str) -> Route:
        """Answer whatever the sandbox does not play, in Stripe's words."""

        async def unrecognized(request: Request) -> Response:
            return await self._enveloped(request, lambda request_id: _unrecognized(request))

        return Route(path, unrecognized, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])

    async def _enveloped(self, request: Request, work: Callable[[str], Awaitable[Response]]) -> Response:
        request_id = new_object_id("req")
        try:
            check_headers(request.headers)
            response = await work(request_id)
        except StripeApiError as error:
            response = _refusal(error, request_id)
        except Exception:
            _log.exception("the sandbox failed at %s %s (%s)", request.method, request.url.path, request_id)
            response = _refusal(internal_error("This is a fault of the sandbox; its log says more."), request_id)
        response.headers.setdefault("Request-Id", request_id)
        response.headers["Stripe-Version"] = API_VERSION
        response.headers["Date"] = formatdate(self._account.clock.now(), usegmt=True)
        return response

    async def _call(self, request: Request, request_id: str, parameters: str, operation: Operation) -> Response:
        incoming = await _read(request, request_id)
        faulty = self._account.chance.random() < self._account.faults.api.probability
        if faulty and self._account.faults.api.status == 429:
            raise rate_limited()
        with self._keys.hold(incoming.key):
            return await self._held(incoming, parameters, operation, faulty=faulty)

    async def _held(self, incoming: Incoming, parameters: str, operation: Operation, *, faulty: bool) -> Response:
        replay = self._replay(incoming)
        if replay is not None:
            return replay
        faults = self._account.faults.api
        if faulty and faults.when == "before":
            await asyncio.sleep(faults.latency_seconds)
            if faults.status == 500:
                raise internal_error()
        failing = faulty and faults.when == "after" and faults.status == 500
        response = self._execute(incoming, parameters, operation, failing=failing)
        if faulty and faults.when == "after":
            await asyncio.sleep(faults.latency_seconds)
        return response

    def _replay(self, incoming: Incoming) -> Response | None:
        if not incoming.key.key:
            return None
        saved = self._keys.saved(incoming.key, incoming.fingerprint, self._account.clock.now())
        if saved is None:
            return None
        headers = {"Idempotent-Replayed": "true", "Original-Request": saved.request_id}
        return _response(saved.body, saved.status, headers | {"Idempotency-Key": incoming.key.key})

    def _execute(self, incoming: Incoming, parameters: str, operation: Operation, *, failing: bool) -> Response:
        """Do the work and keep its answer in one transaction; a refusal undoes the work."""
        try:
            with self._account.ledger.transaction():
                body, status = self._answer(incoming, parameters, operation)
                if failing:
                    error = internal_error()
                    body, status = error.body(incoming.request_id), error.status
                return self._keep(incoming, body, status)
        except StripeApiError as refusal:
            if not refusal.executed:
                raise
            with self._account.ledger.transaction():
                return self._keep(incoming, refusal.body(incoming.request_id), refusal.status)

    def _answer(self, incoming: Incoming, parameters: str, operation: Operation) -> tuple[JsonObject, int]:
        """Do the work; some refusals, such as a declined card, leave something behind."""
        try:
            return operation(self._checked(incoming, parameters)), 200
        except StripeApiError as refusal:
            if not refusal.keeps_work:
                raise
            return refusal.body(incoming.request_id), refusal.status

    def _checked(self, incoming: Incoming, parameters: str) -> Call:
        checked = check_parameters(parameters, incoming.form)
        account = self._account.acting_for(incoming.key.owner)
        return Call(account, checked, incoming.object_id, incoming.request_id, incoming.key.key)

    def _keep(self, incoming: Incoming, body: JsonObject, status: int) -> Response:
        text = json.dumps(body)
        headers = {}
        if incoming.key.key:
            answer = SavedAnswer(status, text, incoming.request_id)
            self._keys.save(incoming.key, incoming.fingerprint, answer, self._account.clock.now())
            headers = {"Idempotency-Key": incoming.key.key, "Original-Request": incoming.request_id}
        return _response(text, status, headers)


async def _read(request: Request, request_id: str) -> Incoming:
    posted = request.method == "POST"
    form = parse_form(await _body(request) if posted else request.scope["query_string"])
    if "stripe-version" not in request.headers:
        form = in_todays_words(form)
    key = request.headers.get("idempotency-key", "") if posted else ""
    digest = fingerprint(request.method, request.url.path, form) if key else ""
    owned = OwnedKey(connected_account(request.headers), key)
    return Incoming(form, request.path_params.get("id", ""), request_id, owned, digest)


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > _LARGEST_BODY:
                raise StripeApiError("The request body is too large.", status=413)
    except ClientDisconnect as error:
        raise StripeApiError("The request body was cut off.") from error
    return bytes(body)


async def _unrecognized(request: Request) -> Response:
    raise StripeApiError(
        f"Unrecognized request URL ({request.method}: {request.url.path}). The sandbox plays a part of Stripe's API "
        "only; if Stripe has this URL, the sandbox lacks it. See https://stripe.com/docs.",
        status=404,
    )


def _refusal(error: StripeApiError, request_id: str) -> Response:
    return _response(json.dumps(error.body(request_id)), error.status, error.headers)


def _response(text: str, status: int, headers: dict[str, str]) -> Response:
    return Response(text, status, headers, media_type="application/json")
