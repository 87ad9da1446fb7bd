"""HTTP/1.1 on one connection, with the patience that uvicorn lacks: who does not finish a request in time is cut off.

Measured (docs/decisions/0003): uvicorn alone waits for ever for a silent connection, half a header and half a body.
"""

import asyncio
import logging
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from webhook_bridge.answer import refusal
from webhook_bridge.incoming_request import REFUSAL

REQUEST_SECONDS = 8.0
"""From the first byte of a request to its last one, and from connecting to the first byte."""
STOPPING_SECONDS = 2.0
"""What is left of that when the server stops."""
LINGER_SECONDS = 1.0
"""How long a refused client may go on sending into the void: closed at once, it would not get to read the refusal."""
HEAD_BYTES = 64 * 1024
# What strangers get wrong is answered, and not worth a line.
_log = logging.getLogger(__name__)
_log.setLevel(logging.ERROR)


class PatientProtocol(HttpToolsProtocol):
    """One connection; `_due` is when the client must have sent what it owes, None while it owes nothing."""

    def __init__(self, *, request_seconds: float, **kwargs: Any) -> None:  # noqa: ANN401  # uvicorn's own affair
        super().__init__(**kwargs)
        self.logger = _log
        self._request_seconds = request_seconds
        self._due: float | None = None
        self._receiving = False
        self._in_head = False
        self._head_bytes = 0
        self._stuck = False
        self._stopping = False
        self._lingering = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Expect a first request."""
        super().connection_made(transport)
        self._expect_bytes()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop looking."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Expect the rest of whatever this begins, be it a request or noise between two."""
        if self._lingering:
            return
        self._expect_bytes()
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"The headers are over {HEAD_BYTES} bytes.")

    def on_message_begin(self) -> None:
        """Begin to count."""
        self._receiving = self._in_head = True
        self._head_bytes = 0
        self._expect_bytes()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Let the application begin."""
        self._in_head = False
        super().on_headers_complete()
        if self._stopping:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Wait for nothing more: the next move is ours."""
        self._receiving = False
        self._due = None
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, as an answer of this bridge looks."""
        self._refuse(HTTPStatus.BAD_REQUEST, "This is not a valid HTTP/1.1 request.")

    def shutdown(self) -> None:
        """Finish what is under way: an answer always, a request if it comes soon."""
        self._stopping = True
        if self._lingering or not self._receiving:
            super().shutdown()
            return
        if not self._in_head:
            self.cycle.keep_alive = False
        self._due = min(self._due or float("inf"), self.loop.time() + STOPPING_SECONDS)
        self._look()

    def _expect_bytes(self) -> None:
        if self._due is None:
            self._due = self.loop.time() + self._request_seconds

    def _look(self) -> None:
        """Cut off who owes us bytes for too long, or does not take ours between two looks."""
        now = self.loop.time()
        if self._due is not None and self._due <= now:
            self._due = None
            self._cut_off()
        if self._lingering:
            return
        unread = self.transport.is_closing() or self.flow.write_paused
        if unread and self._stuck:
            self.transport.abort()
            return
        self._stuck = unread
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_at(self._due or now + self._request_seconds, self._look)

    def _cut_off(self) -> None:
        if self._receiving:
            self._refuse(
                HTTPStatus.REQUEST_TIMEOUT, f"The request was not complete within {self._request_seconds:g} s."
            )
        else:
            self.transport.close()

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        """Answer in the application's place, and hang up."""
        if self._lingering or self.transport.is_closing():
            return
        cycle = self._refused_cycle()
        if cycle is not None and cycle.response_started:
            self.transport.abort()
            return
        if cycle is not None:
            cycle.scope["state"][REFUSAL] = (status, message)
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.write(refusal(status, message))
        self._linger()

    def _refused_cycle(self) -> RequestResponseCycle | None:
        """Give the request that is refused; none where its head is not complete, or where it is noise."""
        cycle: RequestResponseCycle | None = self.cycle
        over = cycle is not None and cycle.response_complete and (self._in_head or not self._receiving)
        return None if over else cycle

    def _linger(self) -> None:
        self._lingering = True
        self.flow.resume_reading()
        self.transport.write_eof()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(LINGER_SECONDS, self.transport.abort)
