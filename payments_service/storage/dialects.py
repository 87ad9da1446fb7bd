"""The two statements that PostgreSQL and SQLite share in meaning but not in SQLAlchemy's construct."""

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

Upsert = postgresql.Insert | sqlite.Insert


def upsert(connection: AsyncConnection, table: Table) -> Upsert:
    """Start an INSERT that may say ON CONFLICT."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def insert_ignoring(connection: AsyncConnection, table: Table) -> Upsert:
    """Start an INSERT that leaves rows which are there already as they are."""
    return upsert(connection, table).on_conflict_do_nothing()
