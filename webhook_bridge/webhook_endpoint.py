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
from webhook_bridge.incoming_request import BodyTooLargeError, ClientGoneError, IncomingRequest

BODY_CAP = 1024 * 1024
_log = structlog.get_logger(__name__)


class WebhookEndpoint:
    """Answers Stripe."""

    def __init__(self, receiver: Receiver, waker: Waker, secrets: Sequence[str], clock: Callable[[], datetime]) -> None:
        """Take any number of secrets, so that one can be rolled; none of them is ever logged."""
        self._receiver = receiver
        self._waker = waker
        self._secrets = tuple(secrets)
        self._clock = clock

    async def __call__(self, request: IncomingRequest) -> Answer | None:
        """Take one delivery; None where nobody is there any more to be answered."""
        begun = time.perf_counter()
        try:
            payload = await request.body(BODY_CAP)
            verify_signature(payload, request.header(b"stripe-signature"), self._secrets, self._clock())
            receipt = await self._receiver.receive(payload)
        except PaymentsError as error:
            answer = _refusal(error)
            _log_refusal(error, answer, begun)
            return answer
        return replace(_STORED, afterwards=lambda: self._follow_up(receipt, begun))

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


def _refusal(error: PaymentsError) -> Answer | None:
    """Choose the status by what the sender can do about it."""
    match error:
        case ClientGoneError():
            return None
        case BodyTooLargeError():
            return error_answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, error.message)
        case SignatureError() | InvalidEventError():
            return error_answer(HTTPStatus.BAD_REQUEST, error.message)
        case StorageUnavailableError():
            return unavailable_answer(error.message)
        case _:
            raise error


def _log_refusal(error: PaymentsError, answer: Answer | None, begun: float) -> None:
    status = answer.status if answer else getattr(error, "status", None)
    spent = _since(begun)
    _log.warning("webhook.refused", **error.metadata, answer=status, reason=error.message, milliseconds=spent)


def _since(begun: float) -> float:
    return round((time.perf_counter() - begun) * 1000, 2)
