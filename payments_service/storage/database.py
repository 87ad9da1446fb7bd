"""Connections and transactions: one writer on SQLite, a pool on PostgreSQL; commits happen here alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from payments_service.errors import StorageUnavailableError

Connection = AsyncConnection
"""What a transaction gives; named here so that nothing else needs the library's name for it."""

SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=5000",
    "PRAGMA cache_size=-65536",
    "PRAGMA temp_store=MEMORY",
)
READERS = 4


class Database:
    """Gives out transactions; `transaction()` writes and commits, `reading()` sees one snapshot."""

    def __init__(self, writer: AsyncEngine, reader: AsyncEngine) -> None:
        """Take two engines, which are the same one on PostgreSQL."""
        self._writer = writer
        self._reader = reader
        self._turn: AbstractAsyncContextManager[Any] | None = asyncio.Lock() if self.dialect == "sqlite" else None

    @property
    def dialect(self) -> str:
        """`postgresql` or `sqlite`."""
        return self._writer.dialect.name

    @property
    def engine(self) -> AsyncEngine:
        """The writing engine, for migrations."""
        return self._writer

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Commit when the block ends, roll back when it raises; raises StorageUnavailableError."""
        with _translated():
            if self._turn is None:
                async with self._writer.begin() as connection:
                    yield connection
                return
            async with self._turn, self._writer.begin() as connection:
                yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Read one snapshot; never write here."""
        with _translated():
            async with self._reader.connect() as connection:
                yield connection

    async def close(self) -> None:
        """Give all connections back."""
        await self._reader.dispose()
        await self._writer.dispose()


class _translated:  # noqa: N801  # used as a statement
    """Turns a database that is away into our own error; a statement that is wrong stays as it is."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, (OperationalError, InterfaceError, PoolTimeoutError, OSError)) or (
            isinstance(error, DBAPIError) and error.connection_invalidated
        ):
            raise StorageUnavailableError("The database cannot be reached; try again.") from error


@asynccontextmanager
async def open_database(url: str) -> AsyncIterator[Database]:
    """Open the database; a SQLite file's folder is made."""
    database = _sqlite(url) if make_url(url).get_backend_name() == "sqlite" else _postgresql(url)
    try:
        yield database
    finally:
        await database.close()


def _postgresql(url: str) -> Database:
    engine = create_async_engine(
        url,
        pool_size=20,
        max_overflow=0,
        pool_timeout=5,
        pool_pre_ping=True,
        pool_recycle=1800,
        connect_args={
            "timeout": 5,
            "server_settings": {
                "application_name": "payments",
                "statement_timeout": "15000",
                "idle_in_transaction_session_timeout": "15000",
                "synchronous_commit": "on",
            },
        },
    )
    return Database(engine, engine)


def _sqlite(url: str) -> Database:
    path = make_url(url).database
    if path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    writer = create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=30)
    reader = create_async_engine(url, pool_size=READERS, max_overflow=0, pool_timeout=30)
    _prepare_sqlite(writer, "BEGIN IMMEDIATE")
    _prepare_sqlite(reader, "BEGIN")
    return Database(writer, reader)


def _prepare_sqlite(engine: AsyncEngine, begin: str) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def _configure(connection: Any, _: object) -> None:  # noqa: ANN401
        connection.isolation_level = None  # the driver must not begin on its own
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
        connection.exec_driver_sql(begin)
