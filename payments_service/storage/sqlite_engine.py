"""SQLite's engines: one connection that writes and some that read, each of them durable by its settings."""

from pathlib import Path
from typing import Any

from sqlalchemy import NullPool, event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from payments_service.storage.sqlite_connection import SqliteConnection

SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=5000",
    "PRAGMA cache_size=-65536",
    "PRAGMA temp_store=MEMORY",
)
READERS = 4


def sqlite_engines(url: str) -> tuple[AsyncEngine, AsyncEngine]:
    """Make the writer and the readers of a file, whose folder is made too."""
    path = make_url(url).database or ""
    if path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    writer, reader = _engine(url, path, 1), _engine(url, path, READERS)
    _prepare(writer, "BEGIN IMMEDIATE")
    _prepare(reader, "BEGIN")
    return writer, reader


def reading_file_engine(url: str) -> AsyncEngine:
    """Make an engine that only reads a file which is there, beside the process that owns it."""
    path = Path(make_url(url).database or "").absolute()
    return create_async_engine(
        f"sqlite+aiosqlite:///{path.as_uri()}?mode=ro&uri=true", poolclass=NullPool, hide_parameters=True
    )


def _engine(url: str, path: str, size: int) -> AsyncEngine:
    connecting = {"async_creator_fn": lambda *_, **__: SqliteConnection(path)}
    return create_async_engine(
        url, pool_size=size, max_overflow=0, pool_timeout=30, hide_parameters=True, connect_args=connecting
    )


def _prepare(engine: AsyncEngine, begin: str) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def _configure(connection: Any, _: object) -> None:  # noqa: ANN401
        cursor = connection.cursor()
        for pragma in SQLITE_PRAGMAS:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "invalidate")
    def _end(connection: Any, _: object, __: object) -> None:  # noqa: ANN401
        # A call was cancelled within a statement, which would outlive the closed connection and keep its write lock.
        connection.rollback()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:  # noqa: ANN401
        connection.connection.driver_connection.begin_with(begin)
