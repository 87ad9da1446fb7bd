"""Fills a page of a list from rows and makes the token of the next; a page ends before it is too large to send."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from google.protobuf.message import Message

from payments_service.rpc.page_token import PageKey, page_size, page_token

PAGE_BYTES = 3 * 1024 * 1024
"""Clients refuse responses of more than 4 MiB unless they are told otherwise."""
Row = TypeVar("Row")
M = TypeVar("M", bound=Message)


def rows_wanted(request: Message) -> int:
    """Give how many rows to read for a page: one more than it shows, to know whether another follows."""
    return page_size(request) + 1


def fill_page(
    request: Message, rows: Sequence[Row], show: Callable[[Row], M], key: Callable[[Row], PageKey]
) -> tuple[list[M], str]:
    """Give the messages of a page and the token of the next, empty at the last."""
    messages: list[M] = []
    room = PAGE_BYTES
    for row in rows[: page_size(request)]:
        message = show(row)
        room -= message.ByteSize()
        if messages and room < 0:
            break
        messages.append(message)
    if len(messages) == len(rows):
        return messages, ""
    return messages, page_token(request, key(rows[len(messages) - 1]))
