"""Finds the endpoint of a request; whatever an endpoint does wrong is logged here once and answered with 500."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

import structlog

from payments_service.observability.call_metrics import note_webhook
from webhook_bridge.answer import Answer, error_answer
from webhook_bridge.incoming_request import IncomingRequest
from webhook_bridge.webhook_endpoint import WebhookEndpoint

WEBHOOK_PATH = "/webhooks/stripe"
Page = Callable[[IncomingRequest], Awaitable[Answer]]
_log = structlog.get_logger(__name__)


class BridgeApplication:
    """A fixed table of paths, each with its methods."""

    def __init__(self, webhooks: WebhookEndpoint, pages: Mapping[str, Page]) -> None:
        """Take what Stripe posts to, and what is read by GET or HEAD."""
        self._webhooks = webhooks
        self._routes: dict[str, tuple[tuple[str, ...], Page]] = {
            WEBHOOK_PATH: (("POST",), webhooks.take),
            **{path: (("GET", "HEAD"), page) for path, page in pages.items()},
        }

    async def answer(self, request: IncomingRequest) -> Answer:
        """Answer one request."""
        answer = await self._answer(request)
        if request.path == WEBHOOK_PATH:
            note_webhook(answer.status, request.begun)
        return answer

    async def _answer(self, request: IncomingRequest) -> Answer:
        if request.path not in self._routes:
            return error_answer(HTTPStatus.NOT_FOUND, f"There is nothing here; Stripe posts to {WEBHOOK_PATH}.")
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

    def note_refusal(self, path: str, begun: float, status: HTTPStatus | None, message: str) -> None:
        """Log a webhook that did not come to its end; what strangers do elsewhere is not worth a line."""
        if path == WEBHOOK_PATH:
            note_webhook(status, begun)
            self._webhooks.note_refusal(begun, status, message)
