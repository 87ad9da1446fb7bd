"""SQL of the log's pages: the frames of many events come as one value, the columns that filters look at as lists.

One row a page, put together by the database: a row an event costs more than all else that a stream does with it.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import JSON, ColumnElement, LargeBinary, Select, Subquery, bindparam, cast, func, literal, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from payments_service.errors import HoleError
from payments_service.storage.log_rows import HEAD_COLUMNS, LogHead
from payments_service.storage.tables import event_log, event_log_head


class LogPage(NamedTuple):
    """Entries of the log in order; each list has one item an entry."""

    frames: bytes
    """One after the other, as storage/log_frames.py makes them."""
    sizes: list[int]
    positions: list[int]
    types: list[int]
    organization_ids: list[str]
    purchase_types: list[str]
    ordering_keys: list[str]


_KINDS = (bytes, list, list, list, list, list, list)


class LogNews(NamedTuple):
    """What follows a position, and whether the log still goes on from there; all of one snapshot."""

    head: LogHead
    event_id: str | None
    """The event that stands at the position; None where none does."""
    page: LogPage


async def read_page(reading: AsyncConnection, after: int, limit: int) -> LogPage:
    """Read the entries strictly after a position, in order."""
    pages, _ = _STATEMENTS[reading.dialect.name]
    return _page_of((await reading.execute(pages, {"after": after, "most": limit})).one())


async def read_news(reading: AsyncConnection, after: int, limit: int) -> LogNews:
    """Read where the log stands, what stands at a position and what follows it, in one statement."""
    _, news = _STATEMENTS[reading.dialect.name]
    log_id, position, trimmed, event_id, *page = (await reading.execute(news, {"after": after, "most": limit})).one()
    return LogNews(LogHead(UUID(hex=log_id), position, trimmed), event_id, _page_of(page))


def _page_of(row: Iterable[Any]) -> LogPage:
    """Refuse a page that the database did not put together in the log's order, byte for byte."""
    page = LogPage(*(value or kind() for value, kind in zip(row, _KINDS, strict=True)))
    if page.positions != sorted(page.positions) or sum(page.sizes) != len(page.frames):
        raise HoleError(f"The database gave {len(page.frames)} bytes in the order {page.positions}.")
    return page


def _entries() -> Subquery:
    after = event_log.c.position > bindparam("after")
    return select(event_log).where(after).order_by(event_log.c.position).limit(bindparam("most")).subquery()


def _lists(entries: Subquery) -> list[ColumnElement[Any]]:
    names = ("position", "type", "organization_id", "purchase_type", "ordering_key")
    return [func.length(entries.c.frame), *(entries.c[name] for name in names)]


def _on_postgresql() -> Select[Any]:
    entries = _entries()
    frames = func.string_agg(entries.c.frame, literal(b"", LargeBinary))
    return select(frames, *(func.array_agg(column) for column in _lists(entries)))


def _on_sqlite() -> Select[Any]:
    entries = _entries()
    # It joins blobs too, NUL and all, but calls the result text.
    frames = cast(func.group_concat(entries.c.frame, ""), LargeBinary)
    return select(frames, *(func.json_group_array(column, type_=JSON) for column in _lists(entries)))


def _statements(page: Select[Any]) -> tuple[Select[Any], Select[Any]]:
    event_id = select(event_log.c.event_id).where(event_log.c.position == bindparam("after")).scalar_subquery()
    found = page.subquery()
    return page, select(*HEAD_COLUMNS, event_id, *found.c).select_from(event_log_head.join(found, true()))


_STATEMENTS = {"postgresql": _statements(_on_postgresql()), "sqlite": _statements(_on_sqlite())}
