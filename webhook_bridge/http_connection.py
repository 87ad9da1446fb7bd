"""One HTTP/1.1 connection: reads requests with little patience, answers one after the other, and hangs up in order.

Whoever does not finish a request in time, sends too much or no HTTP, or does not read what it is sent, is cut off.
Why this is no ready-made server: docs/decisions/0003.
"""

import asyncio
import contextlib
from http import HTTPStatus
from typing import Protocol, cast

from webhook_bridge.answer import Answer, answer_bytes, error_answer
from webhook_bridge.incoming_request import IncomingRequest
from webhook_bridge.open_connections import OpenConnections
from webhook_bridge.request_assembly import RequestAssembly, RequestRefusedError

REQUEST_SECONDS = 8.0
"""From connecting to the first byte of a request, and from there to its last one."""
STOPPING_SECONDS = 2.0
"""What is left of that when the server stops."""
IDLE_SECONDS = 75.0
"""Between two requests: longer than the 60 s after which common load balancers hang up, so that they do it first."""
LINGER_SECONDS = 1.0
"""How long a refused client may go on sending into the void: closed at once, it would not get to read the refusal."""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Application(Protocol):
    """Whom one is connected to."""

    async def answer(self, request: IncomingRequest) -> Answer:
        """Answer a request; never raises."""

    def note_refusal(self, path: str, begun: float, status: HTTPStatus | None, message: str) -> None:
        """Hear of a request that did not come to its end; the path is empty where even that did not come."""


class HttpConnection(asyncio.Protocol):
    """Until `_due` the client must have sent what is owed; None while we owe it an answer."""

    def __init__(self, application: Application, peers: OpenConnections, request_seconds: float) -> None:
        self._application = application
        self._peers = peers
        self._request_seconds = request_seconds
        self._loop = asyncio.get_running_loop()
        self._assembly = RequestAssembly()
        self._answering = False
        self._deaf = False
        self._stopping = False
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Expect a first request, unless there are too many of us."""
        self._transport = cast("asyncio.Transport", transport)
        self._peers.add(self)
        self._due = self._loop.time() + self._request_seconds
        self._look()
        if self._peers.crowded:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections; come again.")

    def connection_lost(self, _: Exception | None) -> None:
        """Let go; an answer that is being made is made to its end, for what it stores."""
        if self._timer is not None:
            self._timer.cancel()
        if self._assembly.receiving and not self._deaf:
            self._note_refusal(None, "The client left before its request was complete.")
        self._peers.discard(self)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._deaf:
            return
        try:
            self._assembly.feed(data)
        except RequestRefusedError as error:
            self._refuse(error.status, error.message)
            return
        if self._answering:
            self._transport.pause_reading()
        elif self._assembly.requests:
            self._due = None
            self._answering = True
            self._peers.run(self._answer_all())
        else:
            self._hurry()

    def eof_received(self) -> bool:
        """Answer also a client that has closed its own direction only."""
        self._stopping = True
        return self._answering

    def pause_writing(self) -> None:
        """Drop a client that lets answers pile up: a whole one fits many times into what may wait."""
        self._transport.abort()

    def stop(self) -> None:
        """Finish what is under way: an answer always, a request if the rest of it comes soon."""
        self._stopping = True
        if self._deaf:
            return
        if self._assembly.receiving and self._due is not None:
            self._due = min(self._due, self._loop.time() + STOPPING_SECONDS)
            self._look()
        elif not self._answering:
            self._transport.close()

    def abort(self) -> None:
        """Hang up whatever is under way."""
        self._transport.abort()

    async def _answer_all(self) -> None:
        try:
            await self._answer_each()
        except BaseException:
            self._transport.abort()
            raise

    async def _answer_each(self) -> None:
        while self._assembly.requests:
            request = self._assembly.requests.popleft()
            answer = await self._application.answer(request)
            keep_alive = request.keep_alive and not (self._stopping or self._deaf)
            if not self._transport.is_closing():
                self._transport.write(answer_bytes(answer, keep_alive=keep_alive, with_body=request.method != "HEAD"))
            if answer.afterwards is not None:
                answer.afterwards()
            if not keep_alive:
                self._linger()
                return
        self._answering = False
        self._due = self._loop.time() + (self._request_seconds if self._assembly.receiving else IDLE_SECONDS)
        self._transport.resume_reading()

    def _hurry(self) -> None:
        """Give a client that has begun to send, be it a request or noise, a limited time from its first byte."""
        if self._assembly.awaits_continue:
            self._assembly.awaits_continue = False
            self._transport.write(_CONTINUE)
        soon = self._loop.time() + self._request_seconds
        if self._due is None or soon < self._due:
            self._due = soon
            self._look()

    def _look(self) -> None:
        """Cut off who is late, and look again when somebody could be."""
        now = self._loop.time()
        if self._timer is not None:
            self._timer.cancel()
        if self._due is not None and self._due <= now:
            self._cut_off()
            return
        self._timer = self._loop.call_at(self._due or now + self._request_seconds, self._look)

    def _cut_off(self) -> None:
        if self._assembly.receiving:
            message = f"The request was not complete within {self._request_seconds:g} s."
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, message)
        else:
            self._linger()

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        """Answer in the application's place; while it answers an earlier request, hang up after that."""
        self._deaf = True
        self._note_refusal(status, message)
        if not self._answering:
            self._transport.write(answer_bytes(error_answer(status, message), keep_alive=False))
            self._linger()

    def _note_refusal(self, status: HTTPStatus | None, message: str) -> None:
        self._application.note_refusal(self._assembly.path, self._assembly.begun, status, message)

    def _linger(self) -> None:
        """Close our direction, and soon the whole."""
        self._deaf = True
        if self._transport.is_closing():
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(LINGER_SECONDS, self._transport.abort)
        self._transport.resume_reading()
        with contextlib.suppress(OSError):  # the client is gone
            self._transport.write_eof()
