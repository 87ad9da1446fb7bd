"""What the bridge answers with: a status, a few headers, a body; errors are one line of JSON that says what to do."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

Headers = tuple[tuple[bytes, bytes], ...]
_PLAIN: Headers = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))
RETRY_AFTER_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP response."""

    status: HTTPStatus
    body: bytes
    headers: Headers = _PLAIN
    afterwards: Callable[[], None] | None = None
    """Called once the answer is on its way; nothing that it does can hold up the answer."""


def json_answer(status: HTTPStatus, content: dict[str, object], *more: tuple[bytes, bytes]) -> Answer:
    """Answer with JSON."""
    return Answer(status, json.dumps(content, separators=(",", ":")).encode() + b"\n", _PLAIN + more)


def error_answer(status: HTTPStatus, message: str, *more: tuple[bytes, bytes]) -> Answer:
    """Answer with one sentence on what is wrong and what to do."""
    return json_answer(status, {"error": status.phrase, "message": message}, *more)


def unavailable_answer(message: str) -> Answer:
    """Ask to come again."""
    return error_answer(HTTPStatus.SERVICE_UNAVAILABLE, message, (b"retry-after", b"%d" % RETRY_AFTER_SECONDS))


def answer_bytes(answer: Answer, *, keep_alive: bool, with_body: bool = True) -> bytes:
    """Write a whole response, to be sent at once."""
    lines = [
        _STATUS_LINES[answer.status],
        b"date: " + _date(int(time.time())),
        b"content-length: %d" % len(answer.body),
        *(b"%s: %s" % header for header in answer.headers),
        b"" if keep_alive else b"connection: close\r\n",
        answer.body if with_body else b"",
    ]
    return b"\r\n".join(lines)


_STATUS_LINES = {status: b"HTTP/1.1 %d %s" % (status, status.phrase.encode()) for status in HTTPStatus}


@lru_cache(maxsize=2)
def _date(seconds: int) -> bytes:
    return formatdate(seconds, usegmt=True).encode()
