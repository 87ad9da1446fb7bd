"""One HTTP request as the endpoints see it: its body is read once, whole, and never beyond a cap."""

from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from payments_service.errors import PaymentsError

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Scope = MutableMapping[str, Any]
MAX_QUERY = 2_048
REFUSAL = "bridge.refusal"
"""Under this name the connection notes in a request's state what it answered in the application's place."""


class BodyTooLargeError(PaymentsError):
    """Raised when a body is over the cap, by its announced length or by what came of it."""


class ClientGoneError(PaymentsError):
    """Raised when a client left, or was cut off, before its body was complete: there is nobody to answer."""

    def __init__(self, message: str, status: HTTPStatus | None = None) -> None:
        """Keep what the connection has answered already."""
        super().__init__(message)
        self.status = status


class IncomingRequest:
    """Method, path, headers, query and body."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        """Take what ASGI gives."""
        self._scope = scope
        self._receive = receive

    @property
    def method(self) -> str:
        """In capitals."""
        return str(self._scope["method"])

    @property
    def path(self) -> str:
        """Decoded, without the query."""
        return str(self._scope["path"])

    def header(self, name: bytes) -> str:
        """Give a header, several of one name joined as one list; the name in lower case, empty where there is none."""
        return ",".join(value.decode("latin-1") for key, value in self._scope["headers"] if key == name)

    def query(self) -> dict[str, str]:
        """Give the query's fields; none of them where it is no query."""
        text = self._scope["query_string"]
        if len(text) > MAX_QUERY:
            return {}
        return dict(parse_qsl(text.decode("latin-1"), errors="replace"))

    async def body(self, cap: int) -> bytes:
        """Read the body; raises BodyTooLargeError and ClientGoneError."""
        if self._announced() > cap:
            raise _too_large(cap)
        parts: list[bytes] = []
        left = cap
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise self._gone()
            parts.append(message["body"])
            left -= len(parts[-1])
            if left < 0:
                raise _too_large(cap)
            more = message["more_body"]
        return b"".join(parts)

    def _gone(self) -> ClientGoneError:
        status, message = self._scope["state"].get(REFUSAL, (None, "The client left before its request was complete."))
        return ClientGoneError(message, status)

    def _announced(self) -> int:
        text = self.header(b"content-length")
        return int(text) if text.isascii() and text.isdigit() else 0


def _too_large(cap: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"The body is over {cap} bytes, more than any Stripe event has.")
