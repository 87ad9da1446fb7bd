"""Column types and clock expressions that mean the same on PostgreSQL and SQLite."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

BigSerial = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts up only in a column that is called INTEGER."""


class UtcTime(TypeDecorator[datetime]):
    """An instant: timestamptz on PostgreSQL, sortable text on SQLite; always aware and in UTC here."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive time: nobody could say which instant it means."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give back an aware time whatever the driver gave."""
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


class ForeignText(TypeDecorator[str]):
    """Words of others, such as an error's: what no database takes is left out, so that noting a failure never fails."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, _: Dialect) -> str | None:
        """Leave out NUL, and put question marks for what is no character."""
        return None if value is None else value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


class database_now(FunctionElement[datetime]):  # noqa: N801  # reads as the SQL function that it is
    """The database's clock: the only one that leases are measured by."""

    type = UtcTime()
    inherit_cache = True


class database_now_plus(FunctionElement[datetime]):  # noqa: N801
    """The database's clock and some seconds."""

    type = UtcTime()
    inherit_cache = True


@compiles(database_now, "postgresql")
def _now_postgresql(_: Any, __: SQLCompiler, **___: Any) -> str:  # noqa: ANN401
    # Not clock_timestamp(), which no index can be searched by.
    return "statement_timestamp()"


@compiles(database_now, "sqlite")
def _now_sqlite(_: Any, __: SQLCompiler, **___: Any) -> str:  # noqa: ANN401
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"


@compiles(database_now_plus, "postgresql")
def _plus_postgresql(element: Any, compiler: SQLCompiler, **kw: Any) -> str:  # noqa: ANN401
    seconds = compiler.process(element.clauses, **kw)
    return f"(statement_timestamp() + make_interval(secs => CAST({seconds} AS double precision)))"


@compiles(database_now_plus, "sqlite")
def _plus_sqlite(element: Any, compiler: SQLCompiler, **kw: Any) -> str:  # noqa: ANN401
    seconds = compiler.process(element.clauses, **kw)
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', {seconds} || ' seconds')"
