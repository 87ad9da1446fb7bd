"""GET /healthz and /readyz: alive, and able to store an event; cheap for us however often somebody asks."""

import asyncio
from http import HTTPStatus

import structlog

from payments_service.errors import PaymentsError
from payments_service.inbox.receiver import Receiver
from webhook_bridge.answer import Answer, json_answer, unavailable_answer
from webhook_bridge.incoming_request import IncomingRequest

PROBE_SECONDS = 2.0
FRESH_SECONDS = 1.0
_log = structlog.get_logger(__name__)


async def answer_alive(_: IncomingRequest) -> Answer:
    """Say that the process answers."""
    return json_answer(HTTPStatus.OK, {"status": "alive"})


class ReadinessEndpoint:
    """Says whether this process takes webhooks: one probe at a time, and one result for a second."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._probe: asyncio.Task[bool] | None = None
        self._asked_at = float("-inf")
        self.draining = False

    async def __call__(self, _: IncomingRequest) -> Answer:
        """Answer 200 where an event could be stored, else 503."""
        if self.draining:
            return unavailable_answer("This process is about to stop.")
        probe = self._recent_probe()
        done, _late = await asyncio.wait([probe], timeout=PROBE_SECONDS)
        if not done:
            return unavailable_answer("An event could not be stored now: the database does not answer in time.")
        if not probe.result():
            return unavailable_answer("An event could not be stored now: the database cannot be reached.")
        return json_answer(HTTPStatus.OK, {"status": "ready"})

    async def close(self) -> None:
        """Leave no probe behind."""
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.wait([self._probe])

    def _recent_probe(self) -> asyncio.Task[bool]:
        now = asyncio.get_running_loop().time()
        if self._probe is None or (self._probe.done() and now - self._asked_at > FRESH_SECONDS):
            self._probe = asyncio.create_task(self._could_store())
            self._asked_at = now
        return self._probe

    async def _could_store(self) -> bool:
        try:
            await self._receiver.probe()
        except PaymentsError:
            return False
        except Exception:
            _log.exception("bridge.probe_failed")
            return False
        return True
