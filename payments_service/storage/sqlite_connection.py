"""SQLite's driver with one visit to its thread a statement: BEGIN goes with the first, and rows come back at once.

The stock driver makes four visits a statement, and each costs two changes of thread. Nothing runs on the loop's own
thread, for no statement is known to be short and a commit waits for the disk.
"""

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import aiosqlite


class TransactionGoneError(sqlite3.OperationalError):
    """Raised when SQLite has undone a transaction by itself: what comes after must not be committed alone."""


class SqliteConnection(aiosqlite.Connection):
    """Does what SQLAlchemy's adapter asks of the stock one; transactions are begun by `begin_with` alone."""

    def __init__(self, path: str) -> None:
        """Take the file; nothing is opened before the connection is awaited."""
        super().__init__(partial(sqlite3.connect, path, isolation_level=None, check_same_thread=False), 64)
        self._thread.daemon = True
        self._beginning = ""
        self._in_transaction = False

    def begin_with(self, statement: str) -> None:
        """Begin a transaction together with its first statement."""
        self._beginning, self._in_transaction = statement, True

    def cursor(self) -> Any:  # noqa: ANN401  # the stock one's, which opens it by a visit of its own
        """Give a cursor that nobody has to open."""
        return SqliteCursor(self)

    async def commit(self) -> None:
        """Commit what was begun."""
        await self._end(self._conn.commit)

    async def rollback(self) -> None:
        """Undo what was begun."""
        await self._end(self._conn.rollback)

    async def visit(self, run: Callable[[sqlite3.Connection], Any]) -> Any:  # noqa: ANN401
        """Run a statement in the thread, within the transaction if one was begun.

        Whether it is the first one is decided here and not in the thread, where a rollback may already wait behind it.
        """
        beginning, self._beginning = self._beginning, ""
        return await self._in_thread(partial(_run_within, self._conn, run, beginning, self._in_transaction))

    async def _end(self, end: Callable[[], None]) -> None:
        begun = not self._beginning
        self._beginning, self._in_transaction = "", False
        if begun:
            await self._in_thread(end)

    async def _in_thread(self, run: Callable[[], Any]) -> Any:  # noqa: ANN401
        return await self._execute(run)  # type: ignore[no-untyped-call]


class SqliteCursor:
    """One statement's; whatever it gave is read in the visit that ran it."""

    arraysize = 1

    def __init__(self, connection: SqliteConnection) -> None:
        """Take the connection."""
        self._connection = connection
        self._rows: Sequence[Any] = ()
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> "SqliteCursor":
        """Be open already."""
        return self

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> "SqliteCursor":
        """Run a statement and fetch all of its rows."""
        await self._connection.visit(lambda connection: self._keep(connection.execute(sql, parameters)))
        return self

    async def executemany(self, sql: str, parameters: Sequence[Sequence[Any]]) -> "SqliteCursor":
        """Run a statement without rows for each set of parameters."""
        await self._connection.visit(lambda connection: self._keep(connection.executemany(sql, parameters)))
        return self

    async def fetchall(self) -> Sequence[Any]:
        """Give the rows."""
        return self._rows

    async def close(self) -> None:
        """Be closed already."""

    def _keep(self, cursor: sqlite3.Cursor) -> None:
        self.description = cursor.description
        self._rows = cursor.fetchall() if cursor.description else ()
        self.rowcount, self.lastrowid = cursor.rowcount, cursor.lastrowid
        cursor.close()


def _run_within(
    connection: sqlite3.Connection, run: Callable[[sqlite3.Connection], Any], beginning: str, in_transaction: bool
) -> Any:  # noqa: ANN401
    if beginning:
        connection.execute(beginning)
    elif in_transaction and not connection.in_transaction:
        raise TransactionGoneError("The transaction is no more: SQLite has undone it after an error.")
    return run(connection)
