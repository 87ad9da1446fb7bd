"""Connections and transactions: one writer on SQLite, a pool on PostgreSQL; commits happen here alone."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import QueuePool
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from payments_service.errors import StorageUnavailableError
from payments_service.observability.log_metrics import note_database_failure
from payments_service.storage.outages import is_deadlock, is_outage, name_cause
from payments_service.storage.postgres_engine import POOL_SIZE, looking_engine, patient_engine, pooled_engine
from payments_service.storage.sqlite_engine import reading_file_engine, sqlite_engines

Connection = AsyncConnection
"""What a transaction gives; named here so that nothing else needs the library's name for it."""

DEADLOCK_TRIES = 3
DEADLOCK_PAUSE_SECONDS = 0.02
"""In which the other one gets the lock that this one gave back."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Engines:
    """One engine in several manners; on SQLite there are two, and who writes takes a turn."""

    writer: AsyncEngine
    reader: AsyncEngine
    at_once: AsyncEngine | None
    patient: AsyncEngine


class Database:
    """Gives out transactions; `transaction()` writes and commits, `reading()` sees one snapshot."""

    def __init__(self, engines: _Engines) -> None:
        """Take the engines of one database."""
        self._engines = engines
        self._users = _Users()
        self._turn: AbstractAsyncContextManager[Any] | None = asyncio.Lock() if self.dialect == "sqlite" else None

    @property
    def dialect(self) -> str:
        """`postgresql` or `sqlite`."""
        return self._engines.writer.dialect.name

    @property
    def engine(self) -> AsyncEngine:
        """The writing engine."""
        return self._engines.writer

    @property
    def usage(self) -> "PoolUsage":
        """How busy the connections are."""
        pools = {id(engine.pool): engine.pool for engine in (self._engines.writer, self._engines.reader)}.values()
        in_use = sum(pool.checkedout() for pool in pools if isinstance(pool, QueuePool))
        return PoolUsage(in_use, max(self._users.count - in_use, 0))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Commit when the block ends, roll back when it raises; raises StorageUnavailableError."""
        with self._users:
            if self._turn is None:
                async with self._engines.writer.begin() as connection:
                    yield connection
                return
            async with self._turn, self._engines.writer.begin() as connection:
                yield connection

    async def run(self, work: Callable[[AsyncConnection], Awaitable[_T]]) -> _T:
        """Do work in a transaction, and again where the database undid it to end a deadlock."""
        return await self._again(self.transaction, work)

    async def run_at_once(self, work: Callable[[AsyncConnection], Awaitable[_T]]) -> _T:
        """Do work of one statement, as `at_once`, and again where the database undid it to end a deadlock."""
        return await self._again(self.at_once, work)

    async def _again(
        self,
        manner: Callable[[], AbstractAsyncContextManager[AsyncConnection]],
        work: Callable[[AsyncConnection], Awaitable[_T]],
    ) -> _T:
        for _ in range(DEADLOCK_TRIES - 1):
            try:
                async with manner() as connection:
                    return await work(connection)
            except StorageUnavailableError as error:
                if not is_deadlock(error.__cause__):
                    raise
            await asyncio.sleep(DEADLOCK_PAUSE_SECONDS)
        async with manner() as connection:
            return await work(connection)

    @asynccontextmanager
    async def at_once(self) -> AsyncIterator[AsyncConnection]:
        """Take one writing statement: on PostgreSQL it commits by itself, so no stopped process can hold its locks."""
        if self._engines.at_once is None:
            async with self.transaction() as connection:
                yield connection
            return
        with self._users:
            async with self._engines.at_once.connect() as connection:
                yield connection

    async def execute_alone(self, statement: str, parameters: Sequence[Any]) -> Sequence[Any]:
        """Run one of SQLite's statements, a transaction of its own, in as few visits to the driver's thread as can be.

        It bypasses the library, so what the driver takes and gives is plain; only storage/receipt_rows.py needs it.
        """
        with self._users:
            async with self._turn or nullcontext(), self._engines.writer.connect() as connection:
                driver: Any = (await connection.get_raw_connection()).driver_connection
                try:
                    rows: Sequence[Any] = await driver.execute_fetchall(statement, parameters)
                except asyncio.CancelledError:
                    # The thread would go on with it, and commit what nobody waits for any more.
                    await driver.interrupt()
                    raise
                return rows

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Read one snapshot; never write here."""
        with self._users:
            async with self._engines.reader.connect() as connection:
                yield connection

    @asynccontextmanager
    async def migrating(self) -> AsyncIterator[AsyncConnection]:
        """Do what `transaction` does, on a connection of its own and without limits of time."""
        if self._turn is not None:
            async with self.transaction() as connection:
                yield connection
            return
        with self._users:
            async with self._engines.patient.begin() as connection:
                yield connection

    async def close(self) -> None:
        """Give all connections back."""
        await self._engines.reader.dispose()
        await self._engines.writer.dispose()


class PoolUsage(NamedTuple):
    """How many connections are in use, and how many callers wait for one or for their turn to write."""

    in_use: int
    waiting: int


class _Users:
    """Counts who uses the database, and turns an outage into our own error; a wrong statement stays as it is."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> None:
        self.count += 1

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self.count -= 1
        if error is not None and is_outage(error):
            note_database_failure()
            message = f"The database cannot be reached ({name_cause(error)}); try again."
            raise StorageUnavailableError(message) from error


@asynccontextmanager
async def open_database(url: str, pool_size: int = POOL_SIZE) -> AsyncIterator[Database]:
    """Open the database; a SQLite file's folder is made, and only PostgreSQL has a pool."""
    is_sqlite = make_url(url).get_backend_name() == "sqlite"
    database = Database(_sqlite(url) if is_sqlite else _postgresql(url, pool_size))
    try:
        yield database
    finally:
        await database.close()


def shown_address(url: str) -> str:
    """Give a database's address without its password, whatever that holds."""
    parsed = make_url(url)
    return parsed.set(drivername=parsed.get_backend_name()).render_as_string(hide_password=True)


@asynccontextmanager
async def open_for_reading(url: str) -> AsyncIterator[Database]:
    """Open a database that is there for a look, a standby too; nothing is made, and `reading` alone may be used."""
    is_sqlite = make_url(url).get_backend_name() == "sqlite"
    engine = reading_file_engine(url) if is_sqlite else looking_engine(url)
    readonly = {} if is_sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    reader = engine.execution_options(**readonly)
    database = Database(_Engines(writer=engine, reader=reader, at_once=None, patient=engine))
    try:
        yield database
    finally:
        await database.close()


def _postgresql(url: str, pool_size: int) -> _Engines:
    writer = pooled_engine(url, pool_size)
    return _Engines(
        writer=writer,
        reader=writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True),
        at_once=writer.execution_options(isolation_level="AUTOCOMMIT"),
        patient=patient_engine(url),
    )


def _sqlite(url: str) -> _Engines:
    writer, reader = sqlite_engines(url)
    return _Engines(writer=writer, reader=reader, at_once=None, patient=writer)
