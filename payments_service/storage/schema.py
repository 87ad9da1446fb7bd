"""Brings the schema to this version's revision, or says why the database cannot be used as it is."""

from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from payments_service.errors import ConfigurationError
from payments_service.storage.database import Database
from payments_service.storage.log_rows import create_head

MIGRATION_LOCK = 7_091_337_201
TABLE_LOCK_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Migration:
    """Which revision a database had, None for none, and which it has now."""

    before: str | None
    after: str | None


async def migrate(database: Database) -> Migration:
    """Run what is missing in one transaction, and name the log; two migrators at once take turns.

    Raises ConfigurationError where a newer version of the service made the schema.
    """
    async with database.migrating() as transaction:
        migration = await transaction.run_sync(_upgrade)
        await create_head(transaction, uuid4())
    return migration


async def read_revision(reading: AsyncConnection) -> str | None:
    """Give the revision that the database has; None where it has no schema."""
    return await reading.run_sync(_revision)


async def require_present_schema(database: Database) -> None:
    """Raise ConfigurationError unless the schema is exactly this version's."""
    async with database.reading() as reading:
        found = await read_revision(reading)
    if found is None:
        raise ConfigurationError("The database has no schema yet: run `payments migrate`.")
    if found == newest_revision():
        return
    _require_known(found)
    raise ConfigurationError(f"The database's schema is at {found}, an older one: run `payments migrate`.")


def newest_revision() -> str:
    """Give the revision that this version needs."""
    return str(_scripts().get_current_head())


def is_known_revision(revision: str) -> bool:
    """Say whether this version knows a revision: if not, a newer one has made it."""
    return revision in {script.revision for script in _scripts().walk_revisions()}


def _require_known(revision: str) -> None:
    if not is_known_revision(revision):
        raise ConfigurationError(
            f"The database's schema is at {revision}, which this version does not know: it is newer, "
            "so run the version of the service that made it, or a later one."
        )


def _upgrade(connection: Connection) -> Migration:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        # Who waits for a table's lock makes all others wait behind it.
        connection.execute(text(f"SET LOCAL lock_timeout = '{TABLE_LOCK_SECONDS}s'"))
    before = _revision(connection)
    if before is not None:
        _require_known(before)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return Migration(before, _revision(connection))


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config
