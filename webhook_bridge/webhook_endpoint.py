"""POST /webhooks/stripe: proved to be Stripe's, stored, answered, and only then woken; it works on no event.

200 means that the event is committed. Whatever else is answered, Stripe sends it again.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus

import structlog

from payments_service.errors import PaymentsError, StorageUnavailableError
from payments_service.inbox.event_envelope import InvalidEventError
from payments_service.inbox.receiver import Receipt, Receiver
from payments_service.inbox.waker import Waker
from payments_service.stripe_gateway.signature import SignatureError, verify_signature
from webhook_bridge.answer import Answer, error_answer, json_answer, unavailable_answer
from webhook_bridge.incoming_request import IncomingRequest

_log = structlog.get_logger(__name__)


class WebhookEndpoint:
    """Answers Stripe."""

    def __init__(self, receiver: Receiver, waker: Waker, secrets: Sequence[str], clock: Callable[[], datetime]) -> None:
        """Take any number of secrets, so that one can be rolled; none of them is ever logged."""
        self._receiver = receiver
        self._waker = waker
        self._secrets = tuple(secrets)
        self._clock = clock

    async def take(self, request: IncomingRequest) -> Answer:
        """Take one delivery."""
        try:
            signature = request.header(b"stripe-signature")
            verify_signature(request.body, signature, self._secrets, self._clock())
            receipt = await self._receiver.receive(request.body)
        except PaymentsError as error:
            answer = _refusal(error)
            self.note_refusal(request.begun, answer.status, error.message, **error.metadata)
            return answer
        return replace(_STORED, afterwards=lambda: self._follow_up(receipt, request.begun))

    def note_refusal(self, begun: float, status: HTTPStatus | None, reason: str, **known: str) -> None:
        """Log a delivery that is not stored; None where nobody was left to be answered."""
        _log.warning("webhook.refused", **known, answer=status, reason=reason, milliseconds=_since(begun))

    def _follow_up(self, receipt: Receipt, begun: float) -> None:
        """Wake what was stored; the answer is on its way, so nothing here can hold it up or take it back."""
        _log.info(
            "webhook.stored",
            stripe_event_id=receipt.stripe_event_id,
            type=receipt.type,
            answer=HTTPStatus.OK,
            deliveries=receipt.deliveries,
            milliseconds=_since(begun),
        )
        if not receipt.pending:
            return
        try:
            self._waker.wake_event(receipt.stripe_event_id)
        except Exception:
            _log.exception("webhook.waking_failed", stripe_event_id=receipt.stripe_event_id)


_STORED = json_answer(HTTPStatus.OK, {"received": True})


def _refusal(error: PaymentsError) -> Answer:
    """Choose the status by what the sender can do about it."""
    match error:
        case SignatureError() | InvalidEventError():
            return error_answer(HTTPStatus.BAD_REQUEST, error.message)
        case StorageUnavailableError():
            return unavailable_answer(error.message)
        case _:
            raise error


def _since(begun: float) -> float:
    return round((time.perf_counter() - begun) * 1000, 2)
