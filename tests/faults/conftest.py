"""The service as separate processes, for the tests of a file to break in turn; each leaves everything running."""

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from broker_servers.broker_process import BrokerProcess, running_broker
from broker_servers.rabbitmq import RabbitMq, require_rabbitmq
from broker_servers.valkey import Valkey
from database_servers.postgres_binaries import find_programs
from database_servers.postgres_server import PostgresServer, running_postgres

from .installation import Installation, open_installation
from .shoppers import Shoppers

KILLS = int(os.environ.get("PAYMENTS_TEST_KILLS", "10"))
"""`make test-faults` and `make test-long` ask for more."""
LONG = KILLS > 10


@dataclass
class Scene:
    """All that a test may break."""

    server: PostgresServer
    broker: BrokerProcess
    installation: Installation
    shoppers: Shoppers


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
    async with (
        server.new_database() as url,
        running_broker(Valkey()) as broker,
        open_installation(folder, url, broker.url, "serve", "bridge", "worker", "worker-2") as installation,
    ):
        yield Scene(server, broker, installation, Shoppers(installation))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rabbit_scene(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Give the service on PostgreSQL and RabbitMQ."""
    require_rabbitmq()
    folder: Path = tmp_path_factory.mktemp("installation")
    async with (
        server.new_database() as url,
        running_broker(RabbitMq()) as broker,
        open_installation(folder, url, broker.url, "serve", "bridge", "worker") as installation,
    ):
        yield Scene(server, broker, installation, Shoppers(installation))
