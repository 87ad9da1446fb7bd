"""Fetches as many pages as a person asked for, and says where there is more."""

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from google.protobuf.message import Message

from payments_service.cli.service_client import ServiceClient
from payments_service.cli.terminal import notices

if TYPE_CHECKING:
    import grpc

LARGEST_PAGE = 500
"""The service's own limit."""


class Page(Protocol):
    """A response of a list."""

    next_page_token: str


Listed = TypeVar("Listed", bound=Message)


def collect_pages(
    client: ServiceClient,
    method: "grpc.UnaryUnaryMultiCallable[Any, Listed]",
    request: Any,  # noqa: ANN401  # a list's request, each its own type
    items: str,
    limit: int,
) -> Listed:
    """Fetch pages into one response until it holds `limit` items; its page token goes on exactly there."""
    request.page_size = min(limit, LARGEST_PAGE)
    collected: Any = client.call(method, request)
    while collected.next_page_token and (missing := limit - len(getattr(collected, items))) > 0:
        request.page_token = collected.next_page_token
        request.page_size = min(missing, LARGEST_PAGE)
        page = client.call(method, request)
        collected.next_page_token = ""
        collected.MergeFrom(page)
    result: Listed = collected
    return result


def show_more(page: Page, shown: int, noun: str) -> None:
    """Say how to see what the last page left, or that there was nothing."""
    if page.next_page_token:
        notices().print(f"There are more {noun}: --limit {2 * shown} shows the next ones too.", style="dim")
    elif not shown:
        notices().print(f"There are no such {noun}.", style="dim")
