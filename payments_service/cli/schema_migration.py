"""Brings the schema of the configured database to this version, and says from which revision to which."""

import asyncio
import json
import sys

from payments_service.cli.named_database import database_name, naming_database
from payments_service.cli.terminal import output
from payments_service.settings import Settings, read_settings
from payments_service.storage.database import open_database
from payments_service.storage.file_owner import owning_file
from payments_service.storage.schema import Migration, migrate


def migrate_schema(*, as_json: bool) -> None:
    """Migrate and report; raises ConfigurationError with what stands in the way."""
    settings = read_settings()
    name = database_name(settings)
    with naming_database(settings):
        migration = asyncio.run(_migrate(settings))
    if as_json:
        line = json.dumps({"database": name, "before": migration.before, "after": migration.after})
        sys.stdout.write(line + "\n")
    else:
        output().print(_sentence(migration, name), soft_wrap=True)


async def _migrate(settings: Settings) -> Migration:
    if settings.embedded:
        with owning_file(settings.database_url):
            return await _migrate_open(settings.database_url)
    return await _migrate_open(settings.database_url)


async def _migrate_open(url: str) -> Migration:
    async with open_database(url) as database:
        return await migrate(database)


def _sentence(migration: Migration, name: str) -> str:
    if migration.before == migration.after:
        return f"The schema is at revision {migration.after} already: {name}"
    if migration.before is None:
        return f"The schema was made, at revision {migration.after}: {name}"
    return f"The schema went from revision {migration.before} to {migration.after}: {name}"
