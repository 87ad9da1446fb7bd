"""The service as separate processes, for the tests of a file to break in turn; each leaves everything running."""

import os
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from broker_servers.rabbitmq import RabbitMq, require_rabbitmq
from broker_servers.valkey import Valkey
from database_servers.postgres_binaries import find_programs
from database_servers.postgres_server import PostgresServer, running_postgres

from .recovery_times import table_of, taken_recoveries
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


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def shared_scene(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Give one such scene to the tests of several files."""
    folder = tmp_path_factory.mktemp("shared")
    async with open_scene(server, folder, Valkey(), "serve", "bridge", "worker", "worker-2") as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rabbit_scene(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Give the service on PostgreSQL and RabbitMQ."""
    require_rabbitmq()
    folder = tmp_path_factory.mktemp("installation")
    async with open_scene(server, folder, RabbitMq(), "serve", "bridge", "worker") as opened:
        yield opened


@pytest.fixture(autouse=True)
def recoveries(request: pytest.FixtureRequest) -> Iterator[None]:
    """Keep the recovery times of each test in its report, which finds its way from any process of the run."""
    yield
    request.node.user_properties.extend(taken_recoveries(request.node.name))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell how long after each fault's end all was well again."""
    reports = [report for kind in terminalreporter.stats.values() for report in kind]
    ended = [each for each in reports if isinstance(each, pytest.TestReport) and each.when == "teardown"]
    if lines := list(table_of(fact for report in ended for fact in report.user_properties)):
        terminalreporter.section("seconds from a fault's end until all was well")
        terminalreporter.write_line("longest    mean times  fault")
        terminalreporter.write_line("\n".join(lines))
