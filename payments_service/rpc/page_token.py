"""Opaque page tokens: the key of the last row that was shown, tied to the filters that it was shown for.

A token is a position and no authority: each page is read within the caller's scope.
"""

import base64
import hashlib
import struct
from datetime import UTC, datetime, timedelta

from google.protobuf.message import Message

from payments_service.errors import FieldViolation, InvalidRequestError

PageKey = tuple[datetime, str]
DEFAULT_SIZE = 50
MAX_SIZE = 500
_VERSION = 1
_LAYOUT = struct.Struct(">B8sq")
_CHECK = 4
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def page_size(request: Message) -> int:
    """Give the size of a page: 50 where none is asked for, 500 at most; raises InvalidRequestError."""
    size: int = request.page_size  # type: ignore[attr-defined]  # each list's request has it
    if size < 0:
        raise InvalidRequestError([FieldViolation("page_size", "is negative: leave it out, or ask for 1 to 500")])
    return min(size or DEFAULT_SIZE, MAX_SIZE)


def page_token(request: Message, key: PageKey) -> str:
    """Make the token of the page that comes after a row."""
    time, row_id = key
    body = _LAYOUT.pack(_VERSION, _filters(request), (time - _EPOCH) // timedelta(microseconds=1)) + row_id.encode()
    return base64.urlsafe_b64encode(body + _checksum(body)).decode()


def page_key(request: Message) -> PageKey | None:
    """Read where the page starts, None at the first; raises InvalidRequestError."""
    token: str = request.page_token  # type: ignore[attr-defined]  # each list's request has it
    if not token:
        return None
    try:
        filters, key = _decoded(token)
    except (ValueError, OverflowError, struct.error) as error:
        violation = FieldViolation("page_token", "is no token of this service: send it unchanged")
        raise InvalidRequestError([violation]) from error
    if filters != _filters(request):
        raise InvalidRequestError(
            [FieldViolation("page_token", "was made for other filters: repeat the first page's, or leave it out")]
        )
    return key


def _decoded(token: str) -> tuple[bytes, PageKey]:
    raw = base64.urlsafe_b64decode(token)
    body, check = raw[:-_CHECK], raw[-_CHECK:]
    is_as_made = base64.urlsafe_b64encode(raw).decode() == token and _checksum(body) == check
    if not is_as_made or body[0] != _VERSION:
        raise ValueError("cut or changed")
    _, filters, microseconds = _LAYOUT.unpack_from(body)
    return filters, (_EPOCH + timedelta(microseconds=microseconds), body[_LAYOUT.size :].decode())


def _filters(request: Message) -> bytes:
    """Digest all of a request but its page."""
    filters = type(request)()
    filters.CopyFrom(request)
    filters.ClearField("page_size")
    filters.ClearField("page_token")
    named = type(request).__name__.encode() + b"\0" + filters.SerializeToString(deterministic=True)
    return hashlib.sha256(named).digest()[:8]


def _checksum(body: bytes) -> bytes:
    """Catch accidents; a forged token shows nothing that its caller may not see."""
    return hashlib.sha256(body).digest()[:_CHECK]
