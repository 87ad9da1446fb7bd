"""A real PostgreSQL of a test's own: it can be stopped, killed and started again, and dies with the test run.

Any number of them run side by side, one for each pytest-xdist worker and version.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg

from payments_service.storage.database import open_database
from payments_service.storage.schema import migrate

from .postgres_binaries import readable, server_user

# A shell keeps the server: when the test run ends, however it ends, the shell's input closes, it stops the server, and
# where nobody is left to do so it removes the files.
KEEPER = """
if "$1/pg_ctl" -D "$2/data" -l "$2/data/log" -w -s start; then echo started; else echo failed; fi
read how
"$1/pg_ctl" -D "$2/data" -w -s -m "${how:-immediate}" stop
[ -n "$how" ] || rm -rf "$2"
"""
# The time zone is an odd one, and the isolation not the usual one: nothing may lean on a server's defaults.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "timezone": "Asia/Kathmandu",
    "default_transaction_isolation": "repeatable read",
    "log_min_duration_statement": "2s",
}
FORGETFUL = {"fsync": "off", "full_page_writes": "off"}
"""Faster, and all that a crash of the server alone survives: what it wrote is with the kernel."""
PORTS = range(15_000, 32_000)
"""Below those that outgoing connections take, so that a port is still free when the server starts again."""
MIGRATED = "payments_migrated"
MEMORY = Path("/dev/shm")
ROOM = 2 * 1024**3


class PostgresServer:
    """One cluster on loopback."""

    def __init__(self, programs: Path, folder: Path) -> None:
        """Take a cluster that initdb has made."""
        self.programs = programs
        self._folder = folder
        self._data = folder / "data"
        self._port = 0
        self._keeper: subprocess.Popen[str] | None = None
        self._numbers = count(1)
        self._has_template = False
        self._has_started = False

    @property
    def data(self) -> Path:
        """Where its files are."""
        return self._data

    @property
    def port(self) -> int:
        """Where it listens, also after it was started again."""
        return self._port

    @property
    def pid(self) -> int:
        """The process that all of its others descend from."""
        return int((self._data / "postmaster.pid").read_text().split()[0])

    def url(self, database: str) -> str:
        """Give what PAYMENTS_DATABASE_URL would be."""
        return f"postgresql+asyncpg://payments@127.0.0.1:{self._port}/{database}"

    def start(self) -> None:
        """Start, or start again on the same port; returns when it takes connections."""
        for _ in range(20):
            self._settle_port()
            if self._try_to_start():
                self._has_started = True
                return
            self._port = self._port if self._has_started else 0
        raise RuntimeError((self._data / "log").read_text()[-2000:])

    def stop(self, how: str = "fast") -> None:
        """Stop in one of pg_ctl's ways; `immediate` is a crash: nothing is written any more."""
        if self._keeper is not None:
            self._keeper.communicate(f"{how}\n")
            self._keeper = None

    def kill(self) -> None:
        """Kill the server's first process; the others notice and end."""
        os.kill(self.pid, signal.SIGKILL)
        self.stop("immediate")

    async def run(self, statement: str, *values: object, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement as the server's owner, beside everybody's pools."""
        connection = await asyncpg.connect(self.url(database).replace("+asyncpg", ""))
        try:
            return [tuple(row) for row in await connection.fetch(statement, *values)]
        finally:
            await connection.close()

    async def terminate(self, url: str, application_name: str) -> None:
        """End the connections that one kind of client has to a database."""
        statement = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND application_name = $2"
        )
        await self.run(statement, url.rpartition("/")[2], application_name)

    @asynccontextmanager
    async def new_database(self, *, migrated: bool = True) -> AsyncIterator[str]:
        """Give the URL of a database that nobody else uses, and drop it in the end."""
        if migrated and not self._has_template:
            await self._make_template()
        name = f"payments_{next(self._numbers)}"
        await self.run(f"CREATE DATABASE {name}" + (f" TEMPLATE {MIGRATED}" if migrated else ""))
        try:
            yield self.url(name)
        finally:
            await self.run(f"DROP DATABASE {name} WITH (FORCE)")

    async def _make_template(self) -> None:
        await self.run(f"CREATE DATABASE {MIGRATED}")
        async with open_database(self.url(MIGRATED)) as database:
            await migrate(database)
        self._has_template = True

    def _settle_port(self) -> None:
        if not self._port:
            self._port = _free_port()
        with (self._data / "port.conf").open("w") as file:
            file.write(f"port = {self._port}\n")

    def _try_to_start(self) -> bool:
        self._keeper = subprocess.Popen(
            ["sh", "-c", KEEPER, "keeper", self.programs, self._folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd="/",
            start_new_session=True,
            user=server_user(),
        )
        assert self._keeper.stdout is not None
        if self._keeper.stdout.readline() == "started\n":
            return True
        self.stop("immediate")
        return False


@contextmanager
def running_postgres(programs: Path, *, durable: bool = False) -> Iterator[PostgresServer]:
    """Run a new cluster until the context ends."""
    folder = Path(tempfile.mkdtemp(prefix="payments-postgres-", dir=None if durable else _memory()))
    try:
        if user := server_user():
            os.chown(folder, user, user)
        usable = readable(programs, folder)
        _initialize(usable, folder, SETTINGS if durable else SETTINGS | FORGETFUL)
        server = PostgresServer(usable, folder)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _initialize(programs: Path, folder: Path, settings: dict[str, str]) -> None:
    data = folder / "data"
    how = ["--username=payments", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
    subprocess.run(
        [programs / "initdb", "-D", data, *how], check=True, capture_output=True, cwd="/", user=server_user()
    )
    lines = [f"{name} = '{value}'" for name, value in settings.items()]
    with (data / "postgresql.conf").open("a") as file:
        file.write("\n".join([*lines, f"unix_socket_directories = '{folder}'", "include_if_exists = 'port.conf'", ""]))


def _memory() -> Path | None:
    """Give where files are made ten times as fast, if it has room for a cluster."""
    roomy = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
    return MEMORY if roomy else None


def _free_port() -> int:
    while True:
        port = random.choice(PORTS)  # noqa: S311
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if tried.connect_ex(("127.0.0.1", port)) != 0:
                return port
