"""Tells a database that is away, or that asks to be tried again, from a statement or a row that is wrong."""

import sqlite3

import asyncpg
from asyncpg.exceptions import InvalidCachedStatementError, TargetServerAttributeNotMatched
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

_AWAY = ("08", "28", "3D", "40", "53", "57", "58")
"""SQLSTATE classes: connection, login, no such database, rolled back for another, no resources, stopped, I/O."""
_AWAY_TOO = frozenset({"25P03", "25P04", "55P03"})
"""Two time limits of transactions, and that of locks."""
_AWAY_OTHERWISE = (
    PoolTimeoutError,
    OSError,
    sqlite3.OperationalError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""The last is what the driver says when a connection dies under its hands."""
_AWAY_THOUGH_NAMELESS = (TargetServerAttributeNotMatched, InvalidCachedStatementError)
"""No server that takes writes, and a schema that changed under a prepared statement."""
_DEADLOCK = "40P01"
_UNKNOWN_HERE = ("28", "3D")
"""A login that is refused, and no such database."""
_READ_ONLY = "25006"


def is_outage(error: BaseException | None) -> bool:
    """Say whether the same call may succeed later, though nobody changes it."""
    if isinstance(error, _AWAY_OTHERWISE):
        return True
    # What the driver raises while a new connection is set up reaches us as it is.
    state = _sqlstate(_driver_error(error))
    if state.startswith(_AWAY) or state in _AWAY_TOO:
        return True
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    return isinstance(getattr(error.orig, "__cause__", None), _AWAY_THOUGH_NAMELESS) or _is_sqlite_away(error)


def is_deadlock(error: BaseException | None) -> bool:
    """Say whether the database ended this transaction so that another could go on."""
    return isinstance(error, DBAPIError) and _sqlstate(error.orig) == _DEADLOCK


def is_unknown_here(error: BaseException | None) -> bool:
    """Say whether a server answered that it does not know us or what we ask for: time alone does not mend it."""
    return _sqlstate(_driver_error(error)).startswith(_UNKNOWN_HERE)


def is_read_only_refusal(error: BaseException | None) -> bool:
    """Say whether a server, such as one that was demoted, takes no writes."""
    return _sqlstate(error) == _READ_ONLY


def name_cause(error: BaseException) -> str:
    """Name what the driver raised; its text could quote a row."""
    orig = error.orig if isinstance(error, StatementError) else None
    return type(error if orig is None else orig.__cause__ or orig).__name__


def _driver_error(error: BaseException | None) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error


def _sqlstate(error: BaseException | None) -> str:
    return getattr(error, "sqlstate", None) or ""


def _is_sqlite_away(error: DBAPIError) -> bool:
    return isinstance(error, OperationalError) or (
        isinstance(error, InterfaceError) and type(error.orig).__module__.startswith("sqlite3")
    )
