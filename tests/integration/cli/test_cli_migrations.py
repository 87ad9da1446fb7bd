"""Processes that migrate one database at the same time: one makes the schema, the others find it made."""

import asyncio
from pathlib import Path

from database_servers.postgres_server import PostgresServer

from .command_line import CommandLine


async def test_of_processes_that_migrate_at_once_one_makes_the_schema(tmp_path: Path, postgres: PostgresServer) -> None:
    async with postgres.new_database(migrated=False) as url:
        payments = CommandLine(tmp_path, database_url=url)
        finished = await asyncio.gather(*(payments.run("migrate", "--json") for _ in range(3)))

    assert [each.code for each in finished] == [0, 0, 0]
    assert sum(each.json["before"] is None for each in finished) == 1
    assert len({each.json["after"] for each in finished}) == 1
