"""RabbitMQ, of Debian's package: a node of its own with its own port mapper, all of which dies with it."""

import asyncio
import os
from pathlib import Path

import pytest

from .broker_process import told

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
CONTROL = Path("/usr/lib/rabbitmq/bin/rabbitmqctl")


def require_rabbitmq() -> None:
    """Skip where RabbitMQ is not installed, except in CI, which installs it."""
    if not SERVER.exists() and "CI" not in os.environ:
        pytest.skip("RabbitMQ is not installed: apt-get install rabbitmq-server")
    assert SERVER.exists(), "RabbitMQ is not installed, and CI skips nothing"


class RabbitMq:
    """Its commands."""

    scheme = "amqp"

    def command(self, folder: Path, port: int) -> list[str]:
        """Give the server's command line."""
        return [str(SERVER)]

    def variables(self, folder: Path, port: int) -> dict[str, str]:
        """Give the server's environment."""
        (folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{port}\nloopback_users = none\n")
        (folder / "plugins").write_text("[].")
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "RABBITMQ_NODENAME": f"payments{port}@localhost",
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "logs"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_DIST_PORT": str(port + 1),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(port + 2),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    async def answers(self, port: int) -> bool:
        """Say whether the server serves."""
        return await told(port, b"AMQP\x00\x00\x09\x01", b"\x01\x00\x00")

    async def wipe(self, port: int) -> None:
        """Let it forget all messages and queues."""
        await asyncio.to_thread(_delete_queues, port)


def _delete_queues(port: int) -> None:
    import pika

    with pika.BlockingConnection(pika.ConnectionParameters(port=port)) as connection:
        for name in ("stripe_events", "fulfillments", "plugin_fulfillments"):
            connection.channel().queue_delete(name)
