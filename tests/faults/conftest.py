"""Servers of the fault tests: a PostgreSQL that may be killed, and brokers."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from broker_servers.broker_process import BrokerProcess, running_broker
from broker_servers.rabbitmq import RabbitMq, require_rabbitmq
from broker_servers.valkey import Valkey
from database_servers.postgres_binaries import find_programs
from database_servers.postgres_server import PostgresServer, running_postgres

from .installation import Installation, open_installation
from .shoppers import Shoppers


@pytest.fixture(scope="package")
def server() -> Iterator[PostgresServer]:
    """Give a PostgreSQL that a test may kill, and must leave running."""
    programs = find_programs("18")
    assert programs is not None
    with running_postgres(programs, durable=True) as running:
        yield running


@pytest.fixture
async def stored_at(server: PostgresServer) -> AsyncIterator[str]:
    async with server.new_database() as url:
        yield url


@pytest.fixture
async def valkey() -> AsyncIterator[BrokerProcess]:
    async with running_broker(Valkey()) as broker:
        yield broker


@pytest.fixture
async def rabbitmq() -> AsyncIterator[BrokerProcess]:
    require_rabbitmq()
    async with running_broker(RabbitMq()) as broker:
        yield broker


@pytest.fixture
async def installation(tmp_path: Path, stored_at: str, valkey: BrokerProcess) -> AsyncIterator[Installation]:
    """Give the service as separate processes on PostgreSQL and Valkey."""
    async with open_installation(tmp_path, stored_at, valkey.url, "serve", "bridge", "worker") as opened:
        yield opened


@pytest.fixture
def shoppers(installation: Installation) -> Shoppers:
    return Shoppers(installation)
