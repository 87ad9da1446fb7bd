"""A broker of a test's own on loopback: it can be killed, frozen for a while, wiped, and started again."""

import asyncio
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol

PATIENCE = 60.0
PORTS = range(15_000, 32_000)
"""Below those that outgoing connections take, so that a port is still free when the broker starts again."""


class BrokerKind(Protocol):
    """What differs between brokers."""

    scheme: str

    def command(self, folder: Path, port: int) -> list[str]:
        """Give the server's command line."""

    def variables(self, folder: Path, port: int) -> dict[str, str]:
        """Give the server's environment."""

    async def answers(self, port: int) -> bool:
        """Say whether the server serves."""

    async def wipe(self, port: int) -> None:
        """Let it forget all messages and queues."""


class BrokerProcess:
    """One server."""

    def __init__(self, kind: BrokerKind, folder: Path) -> None:
        self._kind = kind
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        """Give what PAYMENTS_BROKER_URL would be."""
        return f"{self._kind.scheme}://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start, or start again on the same port; returns when it serves."""
        self._process = self._started()
        async with asyncio.timeout(PATIENCE):
            while not await self._kind.answers(self.port):
                assert self._process.poll() is None, (self._folder / "log").read_text()[-2000:]
                await asyncio.sleep(0.05)

    def _started(self) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                self._kind.command(self._folder, self.port),
                env=self._kind.variables(self._folder, self.port),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """End it and all that it started, without a word."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
        self._process = None

    def freeze(self) -> None:
        """Let it accept connections and answer nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    async def wipe(self) -> None:
        """Let it forget all messages and queues."""
        await self._kind.wipe(self.port)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


@asynccontextmanager
async def running_broker(kind: BrokerKind) -> AsyncIterator[BrokerProcess]:
    """Run a new broker until the context ends."""
    folder = Path(tempfile.mkdtemp(prefix="payments-broker-"))
    broker = BrokerProcess(kind, folder)
    try:
        await broker.start()
        yield broker
    finally:
        broker.kill()
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """Find a port that nobody listens on."""
    while True:
        port = random.choice(PORTS)  # noqa: S311
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) != 0:
                return port


async def told(port: int, request: bytes, answer: bytes) -> bool:
    """Say whether whoever listens answers a request like this."""
    try:
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(request)
                return (await reader.readexactly(len(answer))) == answer
            finally:
                writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False
