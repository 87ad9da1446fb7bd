"""What every call of Stripe's API passes: key, version, form, faults, idempotency, one transaction, the envelope."""

import asyncio
import base64
import binascii
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stripe_sandbox.account import SandboxAccount
from stripe_sandbox.api_error import StripeApiError
from stripe_sandbox.bracket_form import FormValue, parse_form
from stripe_sandbox.configuration import API_VERSION
from stripe_sandbox.idempotency_keys import IdempotencyKeys, SavedAnswer, fingerprint
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.object_ids import new_object_id
from stripe_sandbox.parameter_check import check_parameters

_LARGEST_BODY = 1 << 20
_LIVE_KEY = (
    "This is the sandbox Stripe, and the key is a live one ({prefix}...): it was not used, and no request left this "
    "machine. Use a test key (sk_test_... or rk_test_...), or unset PAYMENTS_STRIPE_API_BASE to talk to Stripe."
)
_NO_KEY = (
    "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth "
    "(e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
)


@dataclass(frozen=True)
class Call:
    """One call: what it is about, what it asks for, and by whose request."""

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

    request: Request
    form: dict[str, FormValue]
    request_id: str
    key: str
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
            check_key(request.headers.get("authorization", ""))
            response = await work(request_id)
        except StripeApiError as error:
            response = _json(error.body(request_id), error.status, error.headers)
        response.headers.setdefault("Request-Id", request_id)
        response.headers["Stripe-Version"] = request.headers.get("stripe-version", API_VERSION)
        return response

    async def _call(self, request: Request, request_id: str, parameters: str, operation: Operation) -> Response:
        incoming = await _read(request, request_id)
        faulty = self._account.chance.random() < self._account.faults.api.probability
        if faulty and self._account.faults.api.status == 429:
            raise _rate_limited()
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
                raise _internal_error()
        failing = faulty and faults.when == "after" and faults.status == 500
        response = self._execute(incoming, parameters, operation, failing=failing)
        if faulty and faults.when == "after":
            await asyncio.sleep(faults.latency_seconds)
        return response

    def _replay(self, incoming: Incoming) -> Response | None:
        if not incoming.key:
            return None
        saved = self._keys.saved(incoming.key, incoming.fingerprint, self._account.clock.now())
        if saved is None:
            return None
        headers = {"Idempotent-Replayed": "true", "Original-Request": saved.request_id}
        return _response(saved.body, saved.status, headers | {"Idempotency-Key": incoming.key})

    def _execute(self, incoming: Incoming, parameters: str, operation: Operation, *, failing: bool) -> Response:
        """Do the work and keep its answer in one transaction; a refusal undoes the work."""
        try:
            with self._account.ledger.transaction():
                body = operation(self._checked(incoming, parameters))
                status = 200
                if failing:
                    error = _internal_error()
                    body, status = error.body(incoming.request_id), error.status
                return self._keep(incoming, body, status)
        except StripeApiError as refusal:
            if not refusal.executed:
                raise
            with self._account.ledger.transaction():
                return self._keep(incoming, refusal.body(incoming.request_id), refusal.status)

    def _checked(self, incoming: Incoming, parameters: str) -> Call:
        checked = check_parameters(parameters, incoming.form)
        object_id = incoming.request.path_params.get("id", "")
        return Call(self._account, checked, object_id, incoming.request_id, incoming.key)

    def _keep(self, incoming: Incoming, body: JsonObject, status: int) -> Response:
        text = json.dumps(body)
        headers = {}
        if incoming.key:
            answer = SavedAnswer(status, text, incoming.request_id)
            self._keys.save(incoming.key, incoming.fingerprint, answer, self._account.clock.now())
            headers = {"Idempotency-Key": incoming.key, "Original-Request": incoming.request_id}
        return _response(text, status, headers)


def check_key(header: str) -> None:
    """Let test keys in; refuse live ones, and calls without a key."""
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


async def _read(request: Request, request_id: str) -> Incoming:
    body = await request.body() if request.method == "POST" else b""
    if len(body) > _LARGEST_BODY:
        raise StripeApiError("The request body is too large.", status=413)
    form = parse_form(body if request.method == "POST" else request.scope["query_string"])
    key = request.headers.get("idempotency-key", "") if request.method == "POST" else ""
    digest = fingerprint(request.method, request.url.path, form) if key else ""
    return Incoming(request, form, request_id, key, digest)


async def _unrecognized(request: Request) -> Response:
    raise StripeApiError(
        f"Unrecognized request URL ({request.method}: {request.url.path}). The sandbox plays a part of Stripe's API "
        "only; if Stripe has this URL, the sandbox lacks it. See https://stripe.com/docs.",
        status=404,
    )


def _rate_limited() -> StripeApiError:
    return StripeApiError(
        "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
        status=429,
        code="rate_limit",
        headers={"Stripe-Rate-Limited-Reason": "endpoint-rate"},
    )


def _internal_error() -> StripeApiError:
    return StripeApiError(
        "An unknown error occurred (asked for by the sandbox's faults).", status=500, kind="api_error"
    )


def _json(body: JsonObject, status: int, headers: dict[str, str]) -> Response:
    return _response(json.dumps(body), status, headers)


def _response(text: str, status: int, headers: dict[str, str]) -> Response:
    return Response(text, status, headers, media_type="application/json")
