"""The service as separate processes, for the tests of a file to break in turn; each leaves everything running."""

import os
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from broker_servers.rabbitmq import RabbitMq, require_rabbitmq
from broker_servers.valkey import Valkey
from database_servers.postgres_binaries import find_programs
from database_servers.postgres_server import PostgresServer, running_postgres

from .scene import Scene, open_scene

KILLS = int(os.environ.get("PAYMENTS_TEST_KILLS", "10"))
"""`make test-faults` and `make test-long` ask for more."""
LONG = KILLS > 10


@pytest.fixture(scope="package")
def server() -> Iterator[PostgresServer]:
    """Give a PostgreSQL that a test may kill, and must leave running."""
    programs = find_programs("18")
    assert programs is not None
    with running_postgres(programs, durable=True) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Give the service on PostgreSQL and Valkey, with two workers."""
    folder = tmp_path_factory.mktemp("installation")
    async with open_scene(server, folder, Valkey(), "serve", "bridge", "worker", "worker-2") as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rabbit_scene(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Give the service on PostgreSQL and RabbitMQ."""
    require_rabbitmq()
    folder = tmp_path_factory.mktemp("installation")
    async with open_scene(server, folder, RabbitMq(), "serve", "bridge", "worker") as opened:
        yield opened
