"""Makes whole requests from the bytes of one connection, by llhttp; what is too large or no HTTP/1.1 is refused early.

It reads only: answering, patience and hanging up are the connection's.
"""

import time
from collections import deque
from http import HTTPStatus

import httptools

from payments_service.errors import PaymentsError
from webhook_bridge.incoming_request import IncomingRequest

HEAD_BYTES = 64 * 1024
BODY_BYTES = 1024 * 1024
REQUEST_BYTES = 8 * BODY_BYTES
"""With all that may stand around a body: chunks' lengths and extensions, trailers."""
MAX_PIPELINED = 8
_ANNOUNCE_BODY = {b"content-length", b"transfer-encoding"}
_MESSAGES = {
    HTTPStatus.BAD_REQUEST: "This is not a valid HTTP/1.1 request, or it asks for another protocol.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: f"The body is over {BODY_BYTES} bytes, more than any Stripe event has.",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: f"The headers are over {HEAD_BYTES} bytes.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests at once on one connection.",
}


class RequestRefusedError(PaymentsError):
    """Raised when a request is not read to its end; nothing after it on the connection is read either."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(_MESSAGES[status])
        self.status = status


class RequestAssembly:
    """Collects requests; `receiving` tells that one has begun and is not complete."""

    def __init__(self) -> None:
        self.requests: deque[IncomingRequest] = deque()
        self.receiving = False
        self.awaits_continue = False
        """The client has sent the head of a request that is welcome, and waits for our word to send its body."""
        self.path = ""
        self.begun = 0.0
        self._parser = httptools.HttpRequestParser(self)
        self._in_head = False
        self._raw_bytes = 0
        self._header_bytes = 0
        self._refusal: RequestRefusedError | None = None
        self._url = b""
        self._query = b""
        self._headers: dict[bytes, bytes] = {}
        self._body = bytearray()

    def feed(self, data: bytes) -> None:
        """Take what came; raises RequestRefusedError."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as error:
            if not self.requests:
                raise RequestRefusedError(HTTPStatus.BAD_REQUEST) from error
        except httptools.HttpParserError as error:
            raise self._refusal or RequestRefusedError(HTTPStatus.BAD_REQUEST) from error
        self._raw_bytes += len(data)
        if self._in_head and self._raw_bytes > HEAD_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if self.receiving and self._raw_bytes > REQUEST_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if self._refusal is not None:
            raise self._refusal

    def on_message_begin(self) -> None:
        """Begin with the parser's first byte of a request."""
        self.receiving = self._in_head = True
        self.begun = time.perf_counter()
        self.path = ""
        self._raw_bytes = self._header_bytes = 0
        self._url = b""
        self._headers = {}
        self._body = bytearray()

    def on_url(self, url: bytes) -> None:
        """Take a part of the target."""
        if self._fits(len(url)):
            self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer."""
        if not self._fits(len(name) + len(value) + len(": \r\n")):
            return
        name = name.lower()
        known = self._headers.get(name)
        self._headers[name] = value if known is None else known + b"," + value

    def on_headers_complete(self) -> None:
        """Decide on the head whether the body is worth reading."""
        self._in_head = False
        try:
            target = httptools.parse_url(self._url)
            self.path, self._query = target.path.decode("ascii"), target.query or b""
        except (httptools.HttpParserError, UnicodeDecodeError, AttributeError):
            self._refuse(HTTPStatus.BAD_REQUEST)
        if int(self._headers.get(b"content-length", 0)) > BODY_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if self._parser.should_upgrade() and self._headers.keys() & _ANNOUNCE_BODY:
            self._refuse(HTTPStatus.BAD_REQUEST)  # llhttp would leave the body out
        self.awaits_continue = self._headers.get(b"expect", b"").lower() == b"100-continue"

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if len(self._body) + len(body) > BODY_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if self._refusal is None:
            self._body += body

    def on_message_complete(self) -> None:
        """Give out a whole request."""
        self.receiving = self.awaits_continue = False
        if len(self.requests) == MAX_PIPELINED:
            self._refuse(HTTPStatus.TOO_MANY_REQUESTS)
        if self._refusal is not None:
            return
        request = IncomingRequest(
            method=self._parser.get_method().decode("ascii"),
            path=self.path,
            query_text=self._query,
            headers=self._headers,
            body=bytes(self._body),
            keep_alive=self._parser.should_keep_alive() and not self._parser.should_upgrade(),
            begun=self.begun,
        )
        self.requests.append(request)

    def _fits(self, size: int) -> bool:
        self._header_bytes += size
        if self._header_bytes > HEAD_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        return self._header_bytes <= HEAD_BYTES

    def _refuse(self, status: HTTPStatus) -> None:
        """Note the first reason; it is raised where it does not pass through the parser."""
        if self._refusal is None:
            self._refusal = RequestRefusedError(status)
