"""The schema is brought up by migrations alone, and a schema of another version is refused."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect

from payments_service.errors import ConfigurationError
from payments_service.storage.database import Database, open_database
from payments_service.storage.schema import migrate, require_present_schema
from payments_service.storage.tables import metadata


@pytest.fixture
async def database(blank_database_url: str) -> AsyncIterator[Database]:
    async with open_database(blank_database_url) as database:
        yield database


async def set_revision(database: Database, revision: str) -> None:
    async with database.transaction() as transaction:
        await transaction.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{revision}'")  # noqa: S608


def differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), metadata))


async def test_the_migrations_make_exactly_the_tables_of_the_code(database: Database) -> None:
    await migrate(database)

    async with database.reading() as reading:
        assert await reading.run_sync(differences) == []


async def test_migrating_twice_or_at_once_changes_nothing(database: Database) -> None:
    await asyncio.gather(*(migrate(database) for _ in range(4)))
    await require_present_schema(database)


async def test_an_empty_database_is_refused_with_what_to_do(database: Database) -> None:
    with pytest.raises(ConfigurationError, match="run `payments migrate`"):
        await require_present_schema(database)


async def test_a_newer_schema_is_refused(database: Database) -> None:
    await migrate(database)
    await set_revision(database, "9999")

    with pytest.raises(ConfigurationError, match="9999, which this version does not know"):
        await require_present_schema(database)


async def test_a_migration_that_fails_leaves_nothing(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as transaction:
            await transaction.run_sync(metadata.create_all)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        await fail()

    async with database.reading() as reading:
        assert await reading.run_sync(lambda connection: inspect(connection).get_table_names()) == []
