"""The two statements that PostgreSQL and SQLite share in meaning but not in SQLAlchemy's construct."""

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

Upsert = postgresql.Insert | sqlite.Insert


def upserts(table: Table) -> dict[str, Upsert]:
    """Start an INSERT that may say ON CONFLICT, for each dialect by its name."""
    return {"sqlite": sqlite.insert(table), "postgresql": postgresql.insert(table)}


def ignoring_inserts(table: Table) -> dict[str, Upsert]:
    """Start an INSERT that leaves rows which are there already as they are, for each dialect by its name."""
    return {name: start.on_conflict_do_nothing() for name, start in upserts(table).items()}


def upsert(connection: AsyncConnection, table: Table) -> Upsert:
    """Start an INSERT that may say ON CONFLICT, for one connection."""
    return upserts(table)[connection.dialect.name]


def insert_ignoring(connection: AsyncConnection, table: Table) -> Upsert:
    """Start an INSERT that leaves rows which are there already as they are, for one connection."""
    return upsert(connection, table).on_conflict_do_nothing()
