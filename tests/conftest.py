"""The databases that tests run on: each test has one of its own, on SQLite and on PostgreSQL alike."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest
from database_servers.postgres_binaries import find_programs
from database_servers.postgres_server import PostgresServer, running_postgres

DATABASES = tuple(os.environ.get("PAYMENTS_TEST_DATABASES", "sqlite,postgresql-18").split(","))
"""What tests of both databases run on; `make test-long` names more."""


class PostgresServers:
    """Starts a server of each version when a test first asks for it."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._running: dict[str, PostgresServer] = {}

    def of(self, major: str) -> PostgresServer:
        """Give the server of a version; skips the test where this machine has none, except in CI."""
        if major not in self._running:
            programs = find_programs(major)
            if programs is None and "CI" not in os.environ:
                pytest.skip(f"PostgreSQL {major} is not installed")
            assert programs is not None, f"PostgreSQL {major} is not installed"
            self._running[major] = self._stack.enter_context(running_postgres(programs))
        return self._running[major]


@pytest.fixture(scope="session")
def postgres_servers() -> Iterator[PostgresServers]:
    with ExitStack() as stack:
        yield PostgresServers(stack)


@pytest.fixture(params=[name for name in DATABASES if name.startswith("postgresql-")])
def postgres(request: pytest.FixtureRequest, postgres_servers: PostgresServers) -> PostgresServer:
    """Give a PostgreSQL, which a test must leave running."""
    return postgres_servers.of(str(request.param).partition("-")[2])


@pytest.fixture(params=DATABASES)
async def database_url(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_servers: PostgresServers
) -> AsyncIterator[str]:
    """Give the URL of an empty database, on PostgreSQL with the schema in it already."""
    async with _new_database(request.param, tmp_path, postgres_servers, migrated=True) as url:
        yield url


@pytest.fixture(params=DATABASES)
async def blank_database_url(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_servers: PostgresServers
) -> AsyncIterator[str]:
    """Give the URL of a database without a schema."""
    async with _new_database(request.param, tmp_path, postgres_servers, migrated=False) as url:
        yield url


@asynccontextmanager
async def _new_database(
    name: str, folder: Path, postgres_servers: PostgresServers, *, migrated: bool
) -> AsyncIterator[str]:
    kind, _, major = name.partition("-")
    if kind == "sqlite":
        yield f"sqlite+aiosqlite:///{folder}/payments.db"
        return
    async with postgres_servers.of(major).new_database(migrated=migrated) as url:
        yield url
