"""The bridge as an ASGI application: finds the endpoint of a request, sends its answer, and then lets it go on."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any

import structlog

from webhook_bridge.answer import Answer, error_answer
from webhook_bridge.incoming_request import IncomingRequest, Receive, Scope

Endpoint = Callable[[IncomingRequest], Awaitable[Answer | None]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_log = structlog.get_logger(__name__)


class BridgeApplication:
    """A fixed table of paths, each with one method."""

    def __init__(self, posted: Mapping[str, Endpoint], read: Mapping[str, Endpoint]) -> None:
        """Take what is posted to, and what is read by GET or HEAD."""
        self._routes = {
            **{path: (("POST",), endpoint) for path, endpoint in posted.items()},
            **{path: (("GET", "HEAD"), endpoint) for path, endpoint in read.items()},
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        answer = await self._answer(IncomingRequest(scope, receive))
        if answer is None:
            return
        length = (b"content-length", b"%d" % len(answer.body))
        await send({"type": "http.response.start", "status": answer.status, "headers": [length, *answer.headers]})
        await send({"type": "http.response.body", "body": answer.body})
        if answer.afterwards is not None:
            answer.afterwards()

    async def _answer(self, request: IncomingRequest) -> Answer | None:
        if request.path not in self._routes:
            return error_answer(HTTPStatus.NOT_FOUND, "There is nothing here; Stripe posts to /webhooks/stripe.")
        methods, endpoint = self._routes[request.path]
        if request.method not in methods:
            allowed = ", ".join(methods)
            message = f"{request.method} is not served here, only {allowed}."
            return error_answer(HTTPStatus.METHOD_NOT_ALLOWED, message, (b"allow", allowed.encode()))
        try:
            return await endpoint(request)
        except Exception:
            _log.exception("bridge.request_failed", path=request.path)
            return error_answer(HTTPStatus.INTERNAL_SERVER_ERROR, "An error on our side; the log has it.")
